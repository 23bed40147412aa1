"""What callers may send for builds and deploys: each check answers the value as it is used, or names the field."""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from gateway.errors import InvalidInputError
from gateway.records.builds import DeployRequest, DeploySpec

MAX_APP_NAME_CHARACTERS = 63
"""Characters of a DNS label: the name becomes a service's."""
MAX_IMAGE_CHARACTERS = 512
MAX_CREDENTIAL_CHARACTERS = 16 * 1024
"""A registry's token may be a JSON web token of several KB."""
REPLICAS = range(1, 100 + 1)
MAX_PLACEMENT_BYTES = 16 * 1024
"""Tolerations and affinity as JSON; a manifest of Kubernetes is some KB."""
SOURCE_SUFFIXES = frozenset({".py", ".zip"})

_APP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _-]*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REGISTRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._/-]+[a-z0-9]+)*)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_CPU = re.compile(r"[0-9]+m|[0-9]+(\.[0-9]{1,3})?")
_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

_RESOURCES = (
    ("cpu_limit", "cpuLimit", _CPU, "500m"),
    ("memory_limit", "memoryLimit", _MEMORY, "256Mi"),
    ("cpu_request", "cpuRequest", _CPU, "100m"),
    ("memory_request", "memoryRequest", _MEMORY, "128Mi"),
)

CONTRACT_NAMESPACE = "default"
"""What the public contract names where the caller names none."""


def check_filename(sent: str | None) -> str:
    """The upload's own name without folders, of letters, digits, `.`, `_` and `-`; a `.py` or a `.zip`."""
    path = PurePosixPath((sent or "").replace("\\", "/"))
    suffix = path.suffix.lower()  # the builder refuses .PY
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)[:MAX_APP_NAME_CHARACTERS]
    if suffix not in SOURCE_SUFFIXES or not strip_name(stem):
        raise InvalidInputError("file must be a Python module (.py) or an archive of one (.zip).", field="file")
    return stem + suffix


def strip_name(name: str) -> str:
    """A name as the builder makes it an app's and a module's."""
    return re.sub(r"[\s_-]", "", name)


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
    if len(value) > MAX_IMAGE_CHARACTERS or not _REGISTRY.fullmatch(value):
        message = "registryUrl must be a registry and repository such as registry.example.com/functions."
        raise InvalidInputError(message, field="registryUrl")
    return value


def check_credential(value: str | None, *, field: str) -> str:
    """A user's name or password; leaving it out is the empty one, which means the builder's own IAM role."""
    text = value or ""
    if len(text) > MAX_CREDENTIAL_CHARACTERS or not text.isprintable():
        raise InvalidInputError(f"{field} is too long or has control characters.", field=field)
    return text


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
    if values.replicas is not None and values.replicas not in REPLICAS:
        message = f"replicas must be {REPLICAS.start} to {REPLICAS.stop - 1}; it is {values.replicas}."
        raise InvalidInputError(message, field="replicas")
    for attribute, field, pattern, example in _RESOURCES:
        quantity = getattr(values, attribute)
        if quantity is not None and not pattern.fullmatch(quantity):
            raise InvalidInputError(f"{field} must be a quantity such as {example}.", field=field)


def check_placement(request: DeployRequest) -> None:
    """Where pods may run and as whom: the service account, tolerations and affinity."""
    if request.service_account is not None and not _DNS_LABEL.fullmatch(request.service_account):
        raise InvalidInputError("serviceAccount must be a Kubernetes name.", field="serviceAccount")
    _check_json(request.custom_tolerations, list, "customTolerations", "a list of tolerations")
    _check_json(request.custom_affinity, dict, "customAffinity", "an affinity object")


def _check_json(value: Any, kind: type, field: str, what: str) -> None:
    if value is None:
        return
    if not isinstance(value, kind) or len(json.dumps(value)) > MAX_PLACEMENT_BYTES:
        raise InvalidInputError(f"{field} must be {what} of at most {MAX_PLACEMENT_BYTES} bytes.", field=field)
