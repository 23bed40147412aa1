"""The gateway's Kubernetes calls, each made to a recording API, against the rules of the chart's Role."""

import inspect
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.upstream.kubernetes import Kubernetes, open_kubernetes
from tests.observability import serving

ROLE = Path(__file__).parents[2] / "helm" / "templates" / "role.yaml"
NAMESPACE = "functions"
CALLS: dict[str, Callable[[Kubernetes], Awaitable[object]]] = {
    "delete_spinapp": lambda api: api.delete_spinapp(NAMESPACE, "shop"),
    "get_spinapp_owner": lambda api: api.get_spinapp_owner(NAMESPACE, "shop"),
    "check": lambda api: api.check(),
    "has_namespace": lambda api: api.has_namespace(NAMESPACE),
    "is_allowed": lambda api: api.is_allowed(NAMESPACE, "delete", "core.spinkube.dev", "spinapps"),
}
"""Every request that the client can make."""
OF_EVERYBODY = {("get", "/readyz"), ("create", "authorization.k8s.io/selfsubjectaccessreviews")}
"""What each cluster gives to all, by its roles system:public-info-viewer and system:basic-user."""
VERBS = {"GET": "get", "DELETE": "delete", "POST": "create", "PUT": "update", "PATCH": "patch"}
_PATH = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/[^/]+)?/(?P<rest>.+)")


class Right(NamedTuple):
    """A rule's verb and resource, such as `delete` and `core.spinkube.dev/spinapps`."""

    verb: str
    resource: str


def right_of(method: str, path: str) -> Right:
    """What RBAC asks for a request."""
    if path == f"/api/v1/namespaces/{NAMESPACE}":  # the namespace itself
        return Right(VERBS[method], "/namespaces")
    found = _PATH.fullmatch(path)
    if found is None:
        return Right(VERBS[method], path)
    resource, _, name = found["rest"].partition("/")
    verb = "list" if method == "GET" and not name else VERBS[method]
    return Right(verb, f"{found['group'] or ''}/{resource}")


async def test_role_is_what_the_client_asks_for() -> None:
    """No verb is missing, and none is too many."""
    asked: set[Right] = set()

    async def answer(request: Request) -> Response:
        asked.add(right_of(request.method, request.url.path))
        return JSONResponse({"spec": {}, "status": {"allowed": True}})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=[*VERBS])])
    async with serving(app) as url, open_kubernetes(url) as api:
        for call in CALLS.values():
            await call(api)
    assert asked - OF_EVERYBODY == rules_of_the_role()


def test_every_request_of_the_client_is_made_above() -> None:
    """A new method has to be called there, so that its right is compared too."""
    methods = inspect.getmembers(Kubernetes, inspect.iscoroutinefunction)
    assert {name for name, _ in methods if not name.startswith("_")} == set(CALLS)


def rules_of_the_role() -> set[Right]:
    """The chart's rules, which have no value in them but the name of the namespace."""
    text = ROLE.read_text()
    rules = text.partition("\nrules:\n")[2].partition("\n---")[0]
    found: list[dict[str, Any]] = yaml.safe_load(re.sub(r"\{\{.*?\}\}", NAMESPACE, rules))
    for rule in found:
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        assert rule.get("resourceNames", [NAMESPACE]) == [NAMESPACE]
    return {
        Right(verb, f"{group}/{resource}")
        for rule in found
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
