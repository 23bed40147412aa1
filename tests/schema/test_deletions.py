"""Deleting functions and workspaces: nothing is left, whatever breaks off on the way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.upstream.dynamo.keys import stamp
from tests.aws_proxy import AwsProxy, aws_proxy
from tests.contents import Contents
from tests.gateway import Gateway, running_gateway
from tests.observability import serving
from tests.stores import StoppedClock

DELETE_FUNCTION = """mutation ($input: DeleteFunctionInput!) {
  deleteFunction(input: $input) { deletedFunctionId workspace { functionCount } }
}"""
DELETE_WORKSPACE = """mutation ($input: DeleteWorkspaceInput!) {
  deleteWorkspace(input: $input) { deletedWorkspaceId }
}"""
COUNT = "query ($id: ID!) { workspace(id: $id) { functionCount functions { nodes { id } } } }"
SPINAPPS = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"


@dataclass
class Cluster:
    """A Kubernetes API with SpinApps by name, each with the function that it is labelled with."""

    apps: dict[str, str | None] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    broken: bool = False

    async def answer(self, request: Request) -> Response:
        """Any call."""
        name = request.path_params["name"]
        self.calls.append(f"{request.method} {name}")
        if self.broken:
            return JSONResponse({"message": "no etcd"}, 500)
        if request.url.path.endswith("-hpa") or name not in self.apps:
            return JSONResponse({"reason": "NotFound"}, 404)
        if request.method == "DELETE":
            del self.apps[name]
            return JSONResponse({})
        labels = {"faas": "true", "function_id": self.apps[name]}
        return JSONResponse({"spec": {"podLabels": {key: value for key, value in labels.items() if value}}})


@dataclass(frozen=True)
class Stage:
    """A gateway with a cluster, and what is between it and its stores."""

    gateway: Gateway
    cluster: Cluster
    proxy: AwsProxy
    contents: Contents

    def function_rows(self, workspace_id: str, function_id: str, name: str, **more: Any) -> list[dict[str, Any]]:
        """Rows around a function besides its own: logs, a build, a deployment."""
        at = "2026-03-01T21:30:00.000000+09:00"
        log = {"PK": f"FN#{function_id}", "status": "success", "statusCode": 200, "timestamp": at}
        index = {"GSI1PK": f"WS#{workspace_id}#LOGS"}
        return [
            *({**log, **index, "SK": f"LOG#{at}#l{n}", "GSI1SK": f"{at}#l{n}", "id": f"l{n}"} for n in range(30)),
            {"PK": f"FN#{function_id}", "SK": f"BUILD#{at}#b1", "build_id": "b1", "workspace_id": workspace_id},
            {"PK": f"WS#{workspace_id}", "SK": f"DEPLOY#{function_id}#{at}", "app_name": name, **more},
        ]

    async def deployed(self, workspace_id: str, name: str) -> str:
        """A function that runs as the SpinApp of its name, with all that a function can have."""
        id_ = await self.gateway.create_function(workspace_id, name)
        rows = self.contents.rows()
        own = rows["WS#" + workspace_id, "FN#" + id_] | {"app_name": name, "namespace": "default"}
        self.contents.put_rows([own, *self.function_rows(workspace_id, id_, name)])
        self.cluster.apps[name] = id_
        return id_


@pytest.fixture
async def stage(aws_server: str, clock: StoppedClock) -> AsyncIterator[Stage]:
    """The gateway, with a cluster that answers."""
    cluster = Cluster()
    routes = [Route(path, cluster.answer, methods=["GET", "DELETE"]) for path in (SPINAPPS, AUTOSCALERS)]
    async with (
        serving(Starlette(routes=routes)) as url,
        aws_proxy(aws_server) as proxy,
        running_gateway(
            proxy.url, clock=clock, aws_endpoint_url_dynamodb=proxy.url, kubernetes_api_url=url
        ) as gateway,
    ):
        yield Stage(gateway, cluster, proxy, Contents(aws_server, gateway.settings))


async def crashing(stage: Stage, mutation: str, id_: str) -> int:
    """Repeat a deletion that breaks off after one call more each time; how many it took to get through."""
    for calls in range(500):
        stage.proxy.reset(fail_from=calls)
        answer = await stage.gateway.answer(mutation, input={"id": id_})
        if "errors" not in answer:
            stage.proxy.reset()
            return calls
        codes = {error["extensions"]["code"] for error in answer["errors"]}
        if codes == {"NOT_FOUND"}:
            stage.proxy.reset()
            return calls
        assert codes <= {"DYNAMODB_ERROR", "S3_ERROR"}, answer
    raise AssertionError("it never came to its end")


async def test_delete_function_when_it_breaks_off_after_each_call(stage: Stage) -> None:
    """Repeated until it is through, nothing of the function is left, and the other one is as it was."""
    workspace_id = await stage.gateway.create_workspace()
    await stage.deployed(workspace_id, "other")
    before = stage.contents.everything()
    id_ = await stage.deployed(workspace_id, "hello")
    assert await crashing(stage, DELETE_FUNCTION, id_) >= 8
    rows, objects = stage.contents.everything()
    key = ("WS#" + workspace_id, "METADATA")
    assert rows[key].pop("function_writes") == before[0][key].pop("function_writes") + 2
    assert (rows, objects) == before
    assert set(stage.cluster.apps) == {"other"}


async def test_delete_workspace_when_it_breaks_off_after_each_call(stage: Stage) -> None:
    """Repeated until it is through, the table and the bucket are empty."""
    workspace_id = await stage.gateway.create_workspace()
    for name in ("one", "two"):
        await stage.deployed(workspace_id, name)
    stage.contents.put_object(f"build-sources/{workspace_id}/b1/app.py", b"x")
    assert await crashing(stage, DELETE_WORKSPACE, workspace_id) > 8
    assert stage.contents.everything() == ({}, {})
    assert stage.cluster.apps == {}


async def test_delete_workspace_with_many_functions_of_all_kinds(stage: Stage) -> None:
    """Functions past the first page, unreadable rows, rows without pointers and of the oldest form: all go."""
    workspace_id = await stage.gateway.create_workspace()
    stays = await stage.gateway.create_workspace("stays")
    await stage.gateway.create_function(stays)
    before = stage.contents.everything()
    partition = "WS#" + workspace_id
    own = [{"PK": partition, "SK": f"FN#fn-{n:08}", "name": f"f{n}", "code": "x" * 9000} for n in range(120)]
    odd: list[dict[str, Any]] = [
        {"PK": partition, "SK": "FN#fn-odd00001", "memory": {"a": ["map"]}, "lastModified": [1]},
        {"PK": partition, "SK": "NOBODY#knows", "x": 1},
        {"PK": partition, "SK": "BUILD#0f0e0d0c-0000-4000-8000-000000000001", "status": "DONE"},
        {"PK": "ws#" + workspace_id, "SK": "build#1", "Status": "DONE"},
        {"PK": "FN#fn-00000000", "SK": "LOG#2025-12-07T12:00:00+09:00#a1", "status": "success"},
    ]
    stage.contents.put_rows(own + odd)
    stage.contents.put_object(f"{workspace_id}/fn-00000000.py", b"x")
    await stage.gateway.data(DELETE_WORKSPACE, input={"id": workspace_id})
    rows, objects = stage.contents.everything()
    del before[0][partition, "METADATA"], before[0][partition, "WSSTATS"]
    assert (rows, objects) == before
    error = await stage.gateway.error(DELETE_WORKSPACE, input={"id": workspace_id})
    assert error["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("mutation", [DELETE_FUNCTION, DELETE_WORKSPACE])
async def test_delete_when_kubernetes_cannot(stage: Stage, mutation: str) -> None:
    """The error says that the function is still there, and it is; with Kubernetes back the same call is enough."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    target = id_ if mutation is DELETE_FUNCTION else workspace_id
    before = stage.contents.rows()
    stage.cluster.broken = True
    error = await stage.gateway.error(mutation, input={"id": target})
    assert (error["extensions"]["code"], error["extensions"]["retryable"]) == ("KUBERNETES_ERROR", True)
    assert error["message"].startswith(f"{id_} was not deleted, because its SpinApp could not be: ")
    rows = stage.contents.rows()
    rows["WS#" + workspace_id, "METADATA"].pop("deleting", None)
    assert rows == before
    stage.cluster.broken = False
    await stage.gateway.data(mutation, input={"id": target})
    assert stage.cluster.apps == {}


async def test_delete_when_the_spinapp_is_gone_already(stage: Stage) -> None:
    """Kubernetes' 404 is fine, and a function that was never deployed makes no call."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    stage.cluster.apps.clear()
    deleted = await stage.gateway.data(DELETE_FUNCTION, input={"id": id_})
    assert deleted["deleteFunction"]["workspace"]["functionCount"] == 0
    stage.cluster.calls.clear()
    never = await stage.gateway.create_function(workspace_id)
    await stage.gateway.data(DELETE_FUNCTION, input={"id": never})
    assert stage.cluster.calls == []


@pytest.mark.parametrize(
    ("name", "url", "owner", "deleted"),
    [
        ("Hello-Fn", "http://hellofn.default.svc.cluster.local", None, True),
        ("Hello-Fn", "hellofn.default.svc.cluster.local", None, True),
        ("renamed since", "http://HelloFn.default.svc.cluster.local:80/", "itself", True),
        ("mine", "http://hellofn.default.svc.cluster.local", "fn-another1", False),
        ("mine", "http://hellofn.default.svc.cluster.local", None, False),
        ("Hello-Fn", "http://hellofn.other.svc.cluster.local", "itself", False),
    ],
)
async def test_delete_when_the_former_backend_deployed_it(
    stage: Stage, name: str, url: str, owner: str | None, deleted: bool
) -> None:
    """The SpinApp is the one that the stored URL names, unless that is another function's."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.gateway.create_function(workspace_id, name)
    row = stage.contents.rows()["WS#" + workspace_id, "FN#" + id_]
    stage.contents.put_rows([row | {"invocationUrl": url}])
    stage.cluster.apps["hellofn"] = id_ if owner == "itself" else owner
    await stage.gateway.data(DELETE_FUNCTION, input={"id": id_})
    assert ("hellofn" not in stage.cluster.apps) is deleted


async def test_delete_when_a_deploy_is_under_way(stage: Stage, clock: StoppedClock) -> None:
    """Its build ends as CANCELLED, and its SpinApp goes by the name that the deploy has stored."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    at = stamp(clock())
    build = {
        "PK": "WS#" + workspace_id,
        "SK": "BUILD#buildbuildbuildbuild01",
        "kind": "deploy",
        "status": "deploying",
        "function_id": id_,
        "app_name": "hello",
        "created_at": at,
        "updated_at": at,
        "sequence": 4,
        "deploy": {"app_name": "hello", "namespace": "default", "enable_autoscaling": True, "use_spot": True},
        "steps": [{"status": "deploying", "started_at": at}],
    }
    pointer = {"PK": "BUILD#buildbuildbuildbuild01", "SK": "METADATA", "workspace_id": workspace_id}
    row = stage.contents.rows()["WS#" + workspace_id, "FN#" + id_]
    busy = row | {"active_build_id": "buildbuildbuildbuild01", "status": "deploying"}
    stage.contents.put_rows([build, pointer, busy])
    await stage.gateway.data(DELETE_FUNCTION, input={"id": id_})
    query = "query ($id: ID!) { node(id: $id) { ... on Build { status sequence } } }"
    ended = await stage.gateway.data(query, id="buildbuildbuildbuild01")
    assert ended == {"node": {"status": "CANCELLED", "sequence": 5}}
    assert stage.cluster.apps == {}


@pytest.mark.parametrize("mutation", [DELETE_FUNCTION, DELETE_WORKSPACE])
async def test_delete_when_it_may_run_elsewhere_too(stage: Stage, mutation: str) -> None:
    """The SpinApps of all its places go, but those that are another's by now, and the places are free."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    other = await stage.deployed(await stage.gateway.create_workspace(), "taken")
    rows: list[dict[str, Any]] = []
    for app, owner in (("left", id_), ("taken", other), ("never", id_)):
        rows.append({"PK": f"APP#default#{app}", "SK": "METADATA", "function_id": owner})
        listed = {"PK": f"FN#{id_}", "SK": f"APP#default#{app}", "namespace": "default", "app_name": app}
        rows.append(listed | ({} if app == "never" else {"may_run": True}))
    stage.contents.put_rows(rows)
    stage.cluster.apps["left"] = id_
    await stage.gateway.data(mutation, input={"id": id_ if mutation is DELETE_FUNCTION else workspace_id})
    assert stage.cluster.apps == {"taken": other}
    assert "DELETE never" not in stage.cluster.calls
    left = stage.contents.rows()
    assert [key for key in left if id_ in "".join(key)] == []
    assert [key for key in left if key[0].startswith("APP#")] == [("APP#default#taken", "METADATA")]


async def test_delete_twice_at_once(stage: Stage) -> None:
    """One of two deletions at once counts the function off, and functionCount is exact."""
    workspace_id = await stage.gateway.create_workspace()
    ids = [await stage.gateway.create_function(workspace_id, f"f{n}") for n in range(4)]
    answers = await asyncio.gather(
        *(stage.gateway.answer(DELETE_FUNCTION, input={"id": id_}) for id_ in ids[:2] * 2)
    )
    refused = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert refused == ["NOT_FOUND"] * 2
    page = (await stage.gateway.data(COUNT, id=workspace_id))["workspace"]
    assert (page["functionCount"], [node["id"] for node in page["functions"]["nodes"]]) == (2, sorted(ids[2:]))


@pytest.mark.parametrize("mutation", [DELETE_FUNCTION, DELETE_WORKSPACE])
async def test_delete_when_the_row_is_unreadable(stage: Stage, mutation: str) -> None:
    """What of a row tells where its SpinApp is can be read, whatever else it holds: nothing is left running."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    row = stage.contents.rows()["WS#" + workspace_id, "FN#" + id_]
    stage.contents.put_rows([row | {"memory": "a lot", "revision": [], "lastDeployed": "soon"}])
    await stage.gateway.data(mutation, input={"id": id_ if mutation is DELETE_FUNCTION else workspace_id})
    assert stage.cluster.apps == {}
    assert [key for key in stage.contents.rows() if id_ in "".join(key)] == []


async def test_delete_function_when_its_workspace_is_being_deleted(stage: Stage) -> None:
    """The answer says so, and nothing is deleted: deleteWorkspace goes on with it."""
    workspace_id = await stage.gateway.create_workspace()
    id_ = await stage.deployed(workspace_id, "hello")
    workspace = stage.contents.rows()["WS#" + workspace_id, "METADATA"]
    stage.contents.put_rows([workspace | {"deleting": True}])
    before = stage.contents.everything()
    error = await stage.gateway.error(DELETE_FUNCTION, input={"id": id_})
    assert error["message"].startswith(f"The workspace {workspace_id} is being deleted with all its functions")
    extensions = error["extensions"]
    assert (extensions["code"], extensions["details"]) == ("CONFLICT", {"workspaceId": workspace_id})
    assert (stage.contents.everything(), set(stage.cluster.apps)) == (before, {"hello"})
    await stage.gateway.data(DELETE_WORKSPACE, input={"id": workspace_id})
    assert stage.contents.everything() == ({}, {})
