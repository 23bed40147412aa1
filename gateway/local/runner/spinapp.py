"""The SpinApp resource as the runner keeps it, and what of its manifest counts here.

The resource is `core.spinkube.dev/v1alpha1`; its CPU limit is not enforced, as most laptops have nothing to do so.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

GROUP = "core.spinkube.dev"
API_VERSION = f"{GROUP}/v1alpha1"
DEFAULT_MEMORY = "256Mi"

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035 label: the name of a Service
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMGTPE]|[KMGTPE]i)?")
_POWERS = "KMGTPE"


class InvalidManifestError(Exception):
    """The manifest is not acceptable; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpinApp:
    """One resource; `autoscaled` tells whether the autoscaler that belongs to it is there."""

    namespace: str
    name: str
    uid: str
    created_at: str
    generation: int
    spec: dict[str, Any]
    autoscaled: bool

    @property
    def image(self) -> str:
        """Reference of the image."""
        return str(self.spec["image"])

    @property
    def replicas(self) -> int:
        """Pods it has: at least one, as a laptop scales nothing to zero."""
        return max(1, int(self.spec.get("replicas") or 1))

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its pods, as written in the manifest."""
        return {name: str(value) for name, value in self.spec.get("podLabels", {}).items()}

    @property
    def memory_bytes(self) -> int:
        """The memory limit."""
        return parse_quantity(_limits(self.spec).get("memory", DEFAULT_MEMORY))

    @property
    def host(self) -> str:
        """The name of its Service inside the cluster."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    @property
    def pods(self) -> tuple[str, ...]:
        """Names of its pods, the same for as long as the resource lives."""
        prefix = f"{self.name}-{hashlib.sha256(self.uid.encode()).hexdigest()[:10]}"
        return tuple(
            f"{prefix}-{hashlib.sha256(f'{self.uid} {number}'.encode()).hexdigest()[:5]}"
            for number in range(self.replicas)
        )

    def as_object(self) -> dict[str, Any]:
        """The resource as the API shows it."""
        return {
            "apiVersion": API_VERSION,
            "kind": "SpinApp",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "uid": self.uid,
                "creationTimestamp": self.created_at,
                "generation": self.generation,
            },
            "spec": self.spec,
            "status": {"readyReplicas": self.replicas, "activeScheduler": "containerd-shim-spin"},
        }


def parse_quantity(value: Any) -> int:
    """A Kubernetes quantity of bytes (`256Mi`, `128M`, `1000`); InvalidManifestError for anything else."""
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        raise InvalidManifestError(f"spec.resources.limits.memory: {value!r} is not a quantity")
    number, unit = float(found.group(1)), found.group(2) or ""
    if not unit:
        return int(number)
    power = _POWERS.index(unit[0].upper()) + 1
    return int(number * (1024 if unit.endswith("i") else 1000) ** power)


def apply_manifest(manifest: Any, namespace: str, name: str, current: SpinApp | None) -> SpinApp:
    """The resource after a server-side apply of `manifest`; InvalidManifestError names what is wrong with it."""
    if not isinstance(manifest, dict) or manifest.get("kind") != "SpinApp":
        raise InvalidManifestError("kind: must be SpinApp")
    if manifest.get("apiVersion") != API_VERSION:
        raise InvalidManifestError(f"apiVersion: must be {API_VERSION}")
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    if not isinstance(metadata, dict) or metadata.get("name", name) != name:
        raise InvalidManifestError("metadata.name: must be the name in the path")
    if metadata.get("namespace", namespace) != namespace:
        raise InvalidManifestError("metadata.namespace: must be the namespace in the path")
    if not _NAME.fullmatch(name):
        raise InvalidManifestError(f"metadata.name: {name!r} is not a DNS label")
    if not isinstance(spec, dict):
        raise InvalidManifestError("spec: required")
    _check_spec(spec)
    changed = current is None or current.spec != spec
    return SpinApp(
        namespace=namespace,
        name=name,
        uid=current.uid if current is not None else str(uuid.uuid4()),
        created_at=current.created_at if current is not None else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        generation=(current.generation if current is not None else 0) + changed,
        spec=spec,
        autoscaled=bool(spec.get("enableAutoscaling")),
    )


def _check_spec(spec: dict[str, Any]) -> None:
    if not isinstance(spec.get("image"), str) or not spec["image"]:
        raise InvalidManifestError("spec.image: required")
    replicas = spec.get("replicas")
    if replicas is not None and (not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0):
        raise InvalidManifestError("spec.replicas: must be an integer of at least 0")
    if not isinstance(spec.get("podLabels", {}), dict):
        raise InvalidManifestError("spec.podLabels: must be a map")
    parse_quantity(_limits(spec).get("memory", DEFAULT_MEMORY))


def _limits(spec: dict[str, Any]) -> dict[str, Any]:
    resources = spec.get("resources") or {}
    limits = resources.get("limits") if isinstance(resources, dict) else None
    if limits is None:
        return {}
    if not isinstance(limits, dict):
        raise InvalidManifestError("spec.resources.limits: must be a map")
    return limits
