"""What callers may send for builds and deploys: each check answers the value as it is used, or names the field."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from gateway.errors import InvalidInputError
from gateway.records.builder import MAX_REGISTRY_CHARACTERS, REGISTRY, DeployRequest, clean_name
from gateway.records.builds import DeploySpec
from gateway.records.hosts import DNS_LABEL

MAX_APP_NAME_CHARACTERS = 63
"""Characters of a DNS label: the name becomes a service's."""
MAX_IMAGE_CHARACTERS = 512
MAX_CREDENTIAL_CHARACTERS = 16 * 1024
"""A registry's token may be a JSON web token of several KB."""
MAX_PATH_CHARACTERS = 255
MAX_QUANTITY_CHARACTERS = 20
"""Of a CPU or memory quantity; as many bytes as that are none that anybody has."""
REPLICAS = range(1, 100 + 1)
MAX_PLACEMENT_BYTES = 16 * 1024
"""Tolerations and affinity as JSON; a manifest of Kubernetes is some KB."""
SOURCE_SUFFIXES = frozenset({".py", ".zip"})

_APP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_CPU = re.compile(r"[0-9]+m|[0-9]+(\.[0-9]{1,3})?")
_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?")
_SOURCE_PATH = re.compile(r"[A-Za-z0-9_-]{1,128}/[^/\\\x00-\x1f\x7f]{1,255}\.(py|zip)")
"""Below a workspace's uploads: the build or the builder's task, and the file."""
_COMPONENT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_OUTPUT_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*\.ya?ml")

_RESOURCES = (
    ("cpu_limit", "cpuLimit", _CPU, "500m"),
    ("memory_limit", "memoryLimit", _MEMORY, "256Mi"),
    ("cpu_request", "cpuRequest", _CPU, "100m"),
    ("memory_request", "memoryRequest", _MEMORY, "128Mi"),
)

_SCALES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGT", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGT", 1)},
}
"""Of Kubernetes' quantities, by their suffix."""
_UNITS = "".join(_SCALES)

CONTRACT_NAMESPACE = "default"
"""What the public contract names where the caller names none."""


def check_filename(sent: str | None) -> str:
    """The upload's own name without folders, of letters, digits, `.`, `_` and `-`; a `.py` or a `.zip`."""
    path = PurePosixPath((sent or "").replace("\\", "/"))
    suffix = path.suffix.lower()  # the builder refuses .PY
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)[:MAX_APP_NAME_CHARACTERS]
    if suffix not in SOURCE_SUFFIXES or not clean_name(stem):
        raise InvalidInputError("file must be a Python module (.py) or an archive of one (.zip).", field="file")
    return stem + suffix


def app_of(filename: str) -> str:
    """The app that the builder makes of a file where none is named."""
    return clean_name(filename.rpartition(".")[0])


def check_app_name(value: str | None) -> str | None:
    """An app's name; the builder lowers it and takes spaces, `-` and `_` out."""
    if value is None:
        return None
    name = value.strip()
    if len(name) > MAX_APP_NAME_CHARACTERS or not _APP_NAME.fullmatch(name):
        message = "appName must have 1 to 63 letters, digits, spaces, - and _, and start with a letter."
        raise InvalidInputError(message, field="appName")
    return name


def check_tag(value: str | None) -> str | None:
    """An image's tag."""
    if value is not None and not _TAG.fullmatch(value):
        message = "tag must have 1 to 128 letters, digits, ., _ and -, and start with none of . and -."
        raise InvalidInputError(message, field="tag")
    return value


def check_registry_url(value: str | None) -> str | None:
    """A registry with its repository, without a scheme."""
    if value is None:
        return None
    if len(value) > MAX_REGISTRY_CHARACTERS or not REGISTRY.fullmatch(value):
        message = "registryUrl must be a registry and repository such as registry.example.com/functions."
        raise InvalidInputError(message, field="registryUrl")
    return value


def check_credentials(username: str | None, password: str | None) -> tuple[str, str]:
    """A registry's user and password; leaving both out makes them empty: the builder's own IAM role (IRSA)."""
    user, secret = username or "", password or ""
    for field, text in (("username", user), ("password", secret)):
        if len(text) > MAX_CREDENTIAL_CHARACTERS or not text.isprintable():
            raise InvalidInputError(f"{field} is too long or has control characters.", field=field)
    if bool(user) != bool(secret):
        message = "username and password come together; leave both out to use the builder's own IAM role."
        raise InvalidInputError(message, field="password" if user else "username")
    return user, secret


def check_source_path(value: str, *, bucket: str, workspace_id: str) -> str:
    """The key of an `s3://` address of a source that was uploaded to this workspace.

    The builder reads whatever it is told to: of the bucket only what is the workspace's own may be named.
    """
    place = f"s3://{bucket}/build-sources/{workspace_id}/"
    path = value.removeprefix(place)
    if path == value or not _SOURCE_PATH.fullmatch(path) or not app_of(path.rpartition("/")[2]):
        message = (
            f"sourcePath must be a Build's sourcePath of this workspace, below {place}, ending in .py or .zip."
        )
        raise InvalidInputError(message, field="sourcePath")
    return value.removeprefix(f"s3://{bucket}/")


def check_component(value: str | None) -> str | None:
    """A component's name in a Spin manifest."""
    if value is not None and not _COMPONENT.fullmatch(value):
        raise InvalidInputError("component must have 1 to 63 letters, digits, _ and -.", field="component")
    return value


def check_replicas(value: int) -> int:
    """How many pods."""
    if value not in REPLICAS:
        message = f"replicas must be {REPLICAS.start} to {REPLICAS.stop - 1}; it is {value}."
        raise InvalidInputError(message, field="replicas")
    return value


def check_output_path(value: str | None) -> str | None:
    """A file on the builder's disk, which writes wherever it is told to: below its own folder or /tmp."""
    if value is None:
        return None
    path = value.removeprefix("/tmp/")  # noqa: S108  # a place on the builder's disk, not on ours
    if len(value) > MAX_PATH_CHARACTERS or not _OUTPUT_PATH.fullmatch(path) or ".." in path.split("/"):
        message = "outputPath must be a relative path, or one below /tmp, that ends in .yaml or .yml."
        raise InvalidInputError(message, field="outputPath")
    return value


def check_image_ref(value: str) -> str:
    """An image's reference."""
    if len(value) > MAX_IMAGE_CHARACTERS or not _IMAGE.fullmatch(value):
        message = "imageRef must be an image's reference such as registry.example.com/functions:tag."
        raise InvalidInputError(message, field="imageRef")
    return value


def check_namespace(value: str, allowed: Sequence[str]) -> str:
    """A namespace that functions may be deployed to; the contract's default stands for the first of them."""
    if value == CONTRACT_NAMESPACE and value not in allowed:
        return allowed[0]
    if value not in allowed:
        message = f"namespace must be one of {', '.join(allowed)}; the setting FUNCTION_NAMESPACES names them."
        raise InvalidInputError(message, field="namespace")
    return value


def check_resources(values: DeployRequest | DeploySpec) -> None:
    """Replicas and Kubernetes quantities; the builder answers a wrong one with a crash."""
    if values.replicas is not None:
        check_replicas(values.replicas)
    for attribute, field, pattern, example in _RESOURCES:
        quantity = getattr(values, attribute)
        if quantity is None:
            continue
        if len(quantity) > MAX_QUANTITY_CHARACTERS or not pattern.fullmatch(quantity):
            raise InvalidInputError(f"{field} must be a quantity such as {example}.", field=field)
    check_requests(values)


def check_requests(values: DeployRequest | DeploySpec) -> None:
    """What pods are given is at most what they may take; Kubernetes refuses others, long after the answer."""
    for resource, limit, request in (
        ("cpu", values.cpu_limit, values.cpu_request),
        ("memory", values.memory_limit, values.memory_request),
    ):
        if limit is not None and request is not None and _amount(request) > _amount(limit):
            message = f"{resource}Request must be at most {resource}Limit, {limit}; it is {request}."
            raise InvalidInputError(message, field=f"{resource}Request")


def _amount(quantity: str) -> Decimal:
    """A checked quantity as a number: cores, or bytes."""
    number = quantity.rstrip(_UNITS)
    return Decimal(number) * _SCALES[quantity[len(number) :]]


def check_placement(request: DeployRequest) -> None:
    """Where pods may run and as whom: the service account, tolerations and affinity."""
    if request.service_account is not None and not DNS_LABEL.fullmatch(request.service_account):
        raise InvalidInputError("serviceAccount must be a Kubernetes name.", field="serviceAccount")
    _check_json(request.custom_tolerations, list, "customTolerations", "a list of tolerations")
    _check_json(request.custom_affinity, dict, "customAffinity", "an affinity object")


def _check_json(value: Any, kind: type, field: str, what: str) -> None:
    if value is None:
        return
    if not isinstance(value, kind) or len(json.dumps(value)) > MAX_PLACEMENT_BYTES:
        raise InvalidInputError(f"{field} must be {what} of at most {MAX_PLACEMENT_BYTES} bytes.", field=field)
