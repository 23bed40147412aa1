"""The Kubernetes API: SpinApps and their autoscalers are deleted; to deploy is the Builder Service's affair."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.errors import KubernetesError
from gateway.upstream.http import open_http_client

logger = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token, which is rotated, and the cluster's CA."""
IN_CLUSTER_URL = "https://kubernetes.default.svc"


class Kubernetes:
    """Deletes SpinApps; without a client (outside a cluster) it only warns."""

    def __init__(self, client: httpx.AsyncClient | None, token_file: Path | None = None) -> None:
        self._client = client
        self._token_file = token_file

    @property
    def is_configured(self) -> bool:
        """Whether there is an API to talk to."""
        return self._client is not None

    async def delete_spinapp(self, namespace: str, name: str) -> None:
        """Remove a SpinApp and the autoscaler that the builder made for it; what is gone already is fine."""
        if self._client is None:
            logger.warning("no Kubernetes API: the SpinApp %s/%s is not deleted", namespace, name)
            return
        await self._delete(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}-hpa")
        await self._delete(f"/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}")

    async def get_spinapp_owner(self, namespace: str, name: str) -> str | None:
        """The function that a SpinApp's pods are labelled with; None where there is no label or no app."""
        if self._client is None:
            return None
        path = f"/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
        response = await self._request("GET", path, missing_ok=True)
        if not response.is_success:
            return None
        labels = _object(response).get("spec", {}).get("podLabels") or {}
        owner = labels.get("function_id")
        return None if owner is None else str(owner)

    async def check(self) -> None:
        """Ask the API whether it is ready."""
        if self._client is not None:
            await self._request("GET", "/readyz")

    async def has_namespace(self, namespace: str) -> bool | None:
        """Whether a namespace exists; None where that can't be asked."""
        try:
            response = await self._request("GET", f"/api/v1/namespaces/{namespace}", missing_ok=True)
            if response.is_success:
                return True
            message = _object(response).get("message", "")
        except KubernetesError as error:
            if error.retryable:
                raise
            return None  # namespaces are not ours to read: a role of one namespace does not have them
        return False if f'namespaces "{namespace}" not found' in message else None

    async def is_allowed(self, namespace: str, verb: str, group: str, resource: str) -> bool | None:
        """Whether this may be done with these; None where the API does not say."""
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        response = await self._request("POST", path, missing_ok=True, body=review)
        return bool(_object(response)["status"]["allowed"]) if response.is_success else None

    async def _delete(self, path: str) -> None:
        response = await self._request("DELETE", path, missing_ok=True)
        logger.info("DELETE %s: %s", path, response.status_code)

    async def _request(
        self, method: str, path: str, *, missing_ok: bool = False, body: dict[str, Any] | None = None
    ) -> httpx.Response:
        assert self._client is not None  # noqa: S101  # the callers have asked
        try:
            token = None if self._token_file is None else self._token_file.read_text().strip()
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            response = await self._client.request(method, path, headers=headers, json=body)
        except (httpx.HTTPError, OSError) as error:
            raise KubernetesError(
                f"The Kubernetes API did not answer {method} {path}: {error}", retryable=True
            ) from error
        if response.is_success or (missing_ok and response.status_code == httpx.codes.NOT_FOUND):
            return response
        raise KubernetesError(
            f"The Kubernetes API refused {method} {path}: {response.status_code} {response.text[:300]}",
            retryable=response.is_server_error,
        )


def _object(response: httpx.Response) -> dict[str, Any]:
    """The answer's object; KubernetesError where it has none, as that of a path that the API does not know."""
    try:
        found = response.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    asked = f"{response.request.method} {response.request.url.path}"
    raise KubernetesError(f"The Kubernetes API answered {asked} with no object: {response.text[:300]}")


@asynccontextmanager
async def open_kubernetes(api_url: str | None) -> AsyncIterator[Kubernetes]:
    """Open the API at `api_url`, by default the one of the cluster this process is a pod of."""
    token_file = SERVICE_ACCOUNT / "token"
    if api_url is None and not token_file.exists():
        yield Kubernetes(None)
        return
    verify = ssl.create_default_context(cafile=SERVICE_ACCOUNT / "ca.crt") if api_url is None else None
    async with open_http_client("kubernetes", api_url or IN_CLUSTER_URL, verify=verify) as client:
        yield Kubernetes(client, token_file if api_url is None else None)
