"""POST /deploy: a SpinApp, applied to the Kubernetes API, and what is known of its service."""

import re
from typing import Any

import httpx
from starlette.exceptions import HTTPException

from gateway.local.builder.bodies import DeployBody
from gateway.local.builder.source import strip_name

SPINAPPS = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
APPLY_TIMEOUT_S = 60.0
"""The runner answers once the new version is loaded: a component is compiled first when its image is new to it."""

# Kubernetes' resource.Quantity, without its rarely seen exponents.
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?")
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


class Deployer:
    """Deploys images by server-side apply, as the real builder does."""

    def __init__(self, kubernetes: httpx.AsyncClient, namespaces: tuple[str, ...]) -> None:
        self._kubernetes = kubernetes
        self._namespaces = namespaces

    async def deploy(self, body: DeployBody) -> dict[str, Any]:
        """Apply the SpinApp and answer; HTTPException 400 for an unknown namespace, 500 for all else.

        The service is looked for at once, before the operator has made it: the first answer for an app is
        `not_found` without an endpoint, the next one has it.
        """
        if body.namespace not in self._namespaces:
            raise HTTPException(400, f"Namespace '{body.namespace}' not found")
        name = _app_name(body)
        path = SPINAPPS.format(namespace=body.namespace, name=name)
        manifest = _manifest(body, name)
        before = await self._call("GET", path)
        if before.status_code != 404:
            _raise_for_status(before, body.namespace)
        applied = await self._call("PATCH", path, manifest)
        _raise_for_status(applied, body.namespace)
        status = "found" if before.status_code == 200 else "not_found"
        if status == "found" and not before.json().get("status", {}).get("readyReplicas"):
            status = "pending"
        return {
            "app_name": name,
            "namespace": body.namespace,
            "service_name": name,
            "service_status": status,
            "endpoint": f"{name}.{body.namespace}.svc.cluster.local" if status == "found" else None,
            "enable_autoscaling": body.enable_autoscaling,
            "use_spot": body.use_spot,
            "error": None,
        }

    async def _call(self, method: str, path: str, manifest: dict[str, Any] | None = None) -> httpx.Response:
        try:
            if manifest is None:
                return await self._kubernetes.request(method, path)
            return await self._kubernetes.request(
                method,
                path,
                params={"fieldManager": "builder-service", "force": "true"},
                headers={"content-type": "application/apply-patch+yaml"},  # JSON is YAML
                json=manifest,
                timeout=APPLY_TIMEOUT_S,
            )
        except httpx.HTTPError as error:
            raise HTTPException(500, f"Failed to deploy: Kubernetes did not answer: {error!r}") from error


def _app_name(body: DeployBody) -> str:
    """The name as the real builder cleans it; the image's last part where none is given."""
    given = body.app_name or body.image_ref.rpartition("/")[2].partition(":")[0]
    name = strip_name(given).lower()
    if not _DNS_LABEL.fullmatch(name):
        raise HTTPException(500, f"Failed to deploy: metadata.name: Invalid value: {name!r}: not a DNS label")
    return name


def _manifest(body: DeployBody, name: str) -> dict[str, Any]:
    """The SpinApp; HTTPException 500 with the words of its admission webhook."""
    if not body.image_ref:
        raise HTTPException(500, "Failed to deploy: spec.image: Invalid value: must not be empty")
    if body.replicas is not None and (body.replicas < 1 or body.enable_autoscaling):
        reason = "must be > 0" if body.replicas < 1 else "cannot be set when autoscaling is enabled"
        raise HTTPException(
            500, f"Failed to deploy: spec.replicas: Invalid value: {body.replicas}: replicas {reason}"
        )
    labels = {"faas": "true"} | ({"function_id": body.function_id} if body.function_id else {})
    spec: dict[str, Any] = {
        "image": body.image_ref,
        "executor": "containerd-shim-spin",
        "enableAutoscaling": body.enable_autoscaling,
        "podLabels": labels,
        "resources": {
            "limits": _quantities(cpu=body.cpu_limit, memory=body.memory_limit),
            "requests": _quantities(cpu=body.cpu_request, memory=body.memory_request),
        },
    }
    if not body.enable_autoscaling:
        spec["replicas"] = body.replicas or 1
    if body.service_account:
        spec["serviceAccountName"] = body.service_account
    return {
        "apiVersion": "core.spinkube.dev/v1alpha1",
        "kind": "SpinApp",
        "metadata": {"name": name, "namespace": body.namespace},
        "spec": spec,
    }


def _quantities(**given: str | None) -> dict[str, str]:
    for resource, quantity in given.items():
        if quantity is not None and not _QUANTITY.fullmatch(quantity):
            raise HTTPException(500, f"Failed to deploy: {resource}: Invalid value: {quantity!r}: not a quantity")
    return {resource: quantity for resource, quantity in given.items() if quantity is not None}


def _raise_for_status(answer: httpx.Response, namespace: str) -> None:
    if answer.is_success:
        return
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = answer.text
    if answer.status_code == 404 and message.startswith("namespaces "):
        raise HTTPException(400, f"Namespace '{namespace}' not found")
    raise HTTPException(500, f"Failed to deploy: {message}")
