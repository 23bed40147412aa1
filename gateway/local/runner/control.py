"""The mini Kubernetes API: SpinApps, the deletion of their autoscalers, and `/metrics`.

Errors are Kubernetes' own Status objects, but text for paths that it does not know. A PATCH answers when the new
version is ready, or with the reason why it is not; a real cluster would accept it and leave the pod in
ImagePullBackOff or CrashLoopBackOff.
"""

import json
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.local.runner.deployments import Deployments
from gateway.local.runner.function import ImageError
from gateway.local.runner.metrics import CONTENT_TYPE, expose
from gateway.local.runner.spinapp import GROUP, InvalidManifestError

SPINAPP_PATH = f"/apis/{GROUP}/v1alpha1/namespaces/{{namespace}}/spinapps/{{name}}"
AUTOSCALER_PATH = "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"
AUTOSCALER_SUFFIX = "-hpa"

SPINAPPS = {"kind": "spinapps", "group": GROUP}
AUTOSCALERS = {"kind": "horizontalpodautoscalers", "group": "autoscaling"}
NAMESPACES = {"kind": "namespaces", "group": ""}


def failure(code: int, reason: str, message: str, details: dict[str, str]) -> JSONResponse:
    """A Status that says no."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return JSONResponse(status, status_code=code)


def not_found(resource: dict[str, str], name: str) -> JSONResponse:
    """The Status of a missing object."""
    qualified = ".".join(part for part in (resource["kind"], resource["group"]) if part)
    return failure(404, "NotFound", f'{qualified} "{name}" not found', {"name": name, **resource})


def deleted(resource: dict[str, str], name: str, uid: str) -> JSONResponse:
    """The Status of a deletion."""
    details = {"name": name, **resource, "uid": uid}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return JSONResponse(status)


class ControlApi:
    """The endpoints; `namespaces` are those that exist."""

    def __init__(self, deployments: Deployments, namespaces: Sequence[str]) -> None:
        self._deployments = deployments
        self._namespaces = namespaces

    async def get_spinapp(self, request: Request) -> Response:
        """GET: the resource."""
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        app = self._deployments.get(namespace, name)
        return not_found(SPINAPPS, name) if app is None else JSONResponse(app.as_object())

    async def apply_spinapp(self, request: Request) -> Response:
        """PATCH: server-side apply of a manifest in JSON; answers the resource once it serves."""
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        if namespace not in self._namespaces:
            return not_found(NAMESPACES, namespace)
        try:
            manifest: Any = json.loads(await request.body())
        except ValueError as error:
            return failure(400, "BadRequest", f"the manifest is not JSON: {error}", {})
        existed = self._deployments.get(namespace, name) is not None
        try:
            app = await self._deployments.apply(manifest, namespace, name)
        except (InvalidManifestError, ImageError) as error:
            message = f'SpinApp.{GROUP} "{name}" is invalid: {error}'
            return failure(422, "Invalid", message, {"name": name, **SPINAPPS})
        return JSONResponse(app.as_object(), status_code=200 if existed else 201)

    async def delete_spinapp(self, request: Request) -> Response:
        """DELETE: stop serving it."""
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        app = await self._deployments.delete(namespace, name)
        return not_found(SPINAPPS, name) if app is None else deleted(SPINAPPS, name, app.uid)

    async def delete_autoscaler(self, request: Request) -> Response:
        """DELETE of `{app}-hpa`, which is there while the app wants autoscaling."""
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        app = None
        if name.endswith(AUTOSCALER_SUFFIX):
            app_name = name.removesuffix(AUTOSCALER_SUFFIX)
            app = await self._deployments.delete_autoscaler(namespace, app_name)
        return not_found(AUTOSCALERS, name) if app is None else deleted(AUTOSCALERS, name, app.uid)

    async def readyz(self, _: Request) -> Response:
        """What the API answers to whoever asks whether it is there."""
        return PlainTextResponse("ok")

    async def metrics(self, _: Request) -> Response:
        """GET: what Prometheus scrapes."""
        return PlainTextResponse(expose(self._deployments), media_type=CONTENT_TYPE)


async def _no_route(_: Request, __: Exception) -> Response:
    """What the API says of a path that it does not know, such as that of a resource without its definition."""
    return PlainTextResponse("404 page not found\n", 404)


async def _no_method(_: Request, __: Exception) -> Response:
    message = "the server does not allow this method on the requested resource"
    return failure(405, "MethodNotAllowed", message, {})


def make_control_app(deployments: Deployments, namespaces: Sequence[str]) -> Starlette:
    """The control socket's application; `namespaces` are those that exist."""
    api = ControlApi(deployments, namespaces)
    return Starlette(
        routes=[
            Route(SPINAPP_PATH, api.get_spinapp, methods=["GET"]),
            Route(SPINAPP_PATH, api.apply_spinapp, methods=["PATCH"]),
            Route(SPINAPP_PATH, api.delete_spinapp, methods=["DELETE"]),
            Route(AUTOSCALER_PATH, api.delete_autoscaler, methods=["DELETE"]),
            Route("/metrics", api.metrics, methods=["GET"]),
            Route("/readyz", api.readyz, methods=["GET"]),
        ],
        exception_handlers={404: _no_route, 405: _no_method},
    )
