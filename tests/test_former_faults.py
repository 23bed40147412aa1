"""The thirteen faults of the former backend, each a test that fails on its behaviour.

What each part does at length is tested beside it; here is the list.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.local.loki import create_app as create_loki
from gateway.records.builds import BuildRecord, BuildStatus
from gateway.upstream.builder import Builder
from gateway.upstream.http import open_http_client
from tests.builds.samples import START, a_build, an_upload
from tests.builds.script import ACCEPTED, ScriptedBuilder, scripted_builder
from tests.builds.stage import Stage, staged
from tests.builds.stores import aws_clients
from tests.contents import Contents
from tests.gateway import CREATE_FUNCTION, UPDATE_FUNCTION, Gateway, running_gateway
from tests.observability import push_lines, serving
from tests.stores import StoppedClock

INVOKE = """mutation ($input: InvokeFunctionInput!) {
  invokeFunction(input: $input) { executionLog { id statusCode responseBody } }
}"""
FUNCTION = """query ($id: ID!) {
  function(id: $id) {
    name invocations24h lastModified httpMethods invocationUrl code
    executionLogs { nodes { id responseBody } }
  }
}"""


@pytest.fixture
def clock() -> StoppedClock:
    """A clock that the test moves."""
    return StoppedClock()


@pytest.fixture
async def gateway(aws_server: str, clock: StoppedClock) -> AsyncIterator[Gateway]:
    """A gateway that may call functions on this machine, and on the cluster's addresses."""
    hosts = ("127.0.0.1", "*.default.svc.cluster.local:80")
    async with running_gateway(aws_server, clock=clock, invocation_allowed_hosts=hosts) as running:
        yield running


@asynccontextmanager
async def deployed(gateway: Gateway, answer: Response) -> AsyncIterator[str]:
    """A function that answers this."""

    async def respond(_: Request) -> Response:
        return answer

    async with serving(Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST"])])) as url:
        id_ = await gateway.create_function(await gateway.create_workspace())
        await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": url})
        yield id_


async def function(gateway: Gateway, id_: str) -> Any:
    """A function as the API shows it."""
    return (await gateway.data(FUNCTION, id=id_))["function"]


async def test_fault_1_renaming_is_no_error(gateway: Gateway) -> None:
    """`name` is a reserved word of DynamoDB: renaming was a 500."""
    workspace_id = await gateway.create_workspace("before")
    id_ = await gateway.create_function(workspace_id, "before")
    rename = "mutation ($i: UpdateWorkspaceInput!) { updateWorkspace(input: $i) { workspace { name } } }"
    renamed = await gateway.data(rename, i={"id": workspace_id, "name": "after"})
    assert renamed["updateWorkspace"]["workspace"]["name"] == "after"
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "name": "after"})
    assert (await function(gateway, id_))["name"] == "after"


async def test_fault_2_concurrent_invocations_are_all_counted(gateway: Gateway, clock: StoppedClock) -> None:
    """Thirty left `invocations24h` at 2, and it never went down."""
    async with deployed(gateway, PlainTextResponse("ok")) as id_:
        await asyncio.gather(*(gateway.data(INVOKE, input={"functionId": id_}) for _ in range(30)))
        assert (await function(gateway, id_))["invocations24h"] == 30
        clock.advance(hours=25)
        assert (await function(gateway, id_))["invocations24h"] == 0


async def test_fault_3_invocations_do_not_move_last_modified(gateway: Gateway, clock: StoppedClock) -> None:
    """Every invocation changed it."""
    async with deployed(gateway, PlainTextResponse("ok")) as id_:
        before = (await function(gateway, id_))["lastModified"]
        clock.advance(minutes=5)
        await gateway.data(INVOKE, input={"functionId": id_})
        assert (await function(gateway, id_))["lastModified"] == before


async def test_fault_4_the_id_answered_is_the_id_stored(gateway: Gateway) -> None:
    """An invocation answered an id that no log had."""
    async with deployed(gateway, PlainTextResponse("ok")) as id_:
        answered = (await gateway.data(INVOKE, input={"functionId": id_}))["invokeFunction"]["executionLog"]
        assert [log["id"] for log in (await function(gateway, id_))["executionLogs"]["nodes"]] == [answered["id"]]


@pytest.mark.parametrize(
    ("body", "logged"),
    [
        (b"[1e200, 12345678901234567890123456789012345678901234567890]", None),
        (json.dumps("x" * 450_000).encode(), "truncated"),
    ],
)
async def test_fault_5_no_response_loses_its_log(gateway: Gateway, body: bytes, logged: str | None) -> None:
    """A response of 450 KB or a float such as 1e200 lost log and counters; numbers came back as strings."""
    async with deployed(gateway, Response(body, media_type="application/json")) as id_:
        await gateway.data(INVOKE, input={"functionId": id_})
        answer = await gateway.client.post("/graphql", json={"query": FUNCTION, "variables": {"id": id_}})
        shown = answer.json()["data"]["function"]
        assert shown["invocations24h"] == 1
        (log,) = shown["executionLogs"]["nodes"]
        if logged is None:
            assert body.decode() in answer.text
        else:
            assert log["responseBody"][logged] is True


async def test_fault_6_lists_and_builds_go_past_a_megabyte(aws_server: str, gateway: Gateway) -> None:
    """Five of seven functions were listed, and a build's status was 404 once the table had passed 1 MB."""
    workspace_id = await gateway.create_workspace()
    partition = "WS#" + workspace_id
    large = {"code": "x" * 300_000, "name": "large", "lastModified": "2025-12-07T12:00:00+09:00"}
    rows = [{"PK": partition, "SK": f"FN#fn-{n:08}", **large} for n in range(7)]
    build = {"PK": partition, "SK": "BUILD#V1StGXR8Z5jdHi6BmyT4xx", "status": "completed", "app_name": "late"}
    pointer = {"PK": "BUILD#V1StGXR8Z5jdHi6BmyT4xx", "SK": "METADATA", "workspace_id": workspace_id}
    for row in (*rows, build, pointer):
        Contents(aws_server, gateway.settings).put_rows([row])
    query = """query ($id: ID!) {
      workspace(id: $id) { functions { nodes { id } } }
      build(id: "V1StGXR8Z5jdHi6BmyT4xx") { status }
    }"""
    page = await gateway.data(query, id=workspace_id)
    assert [node["id"] for node in page["workspace"]["functions"]["nodes"]] == [f"fn-{n:08}" for n in range(7)]
    assert page["build"]["status"] == "DONE"


async def test_fault_7_source_of_any_size_and_kind(aws_server: str, gateway: Gateway) -> None:
    """310 KB of source was a 500; so was code that is not UTF-8, which left a row behind."""
    workspace_id = await gateway.create_workspace()
    code = base64.b64encode(b"#" * 310_000).decode()
    id_ = await gateway.create_function(workspace_id, code=code)
    assert (await function(gateway, id_))["code"] == code
    before = Contents(aws_server, gateway.settings).everything()
    binary = base64.b64encode(b"\xff\xfe").decode()
    error = await gateway.error(CREATE_FUNCTION, input={"workspaceId": workspace_id, "name": "x", "code": binary})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "code")
    assert Contents(aws_server, gateway.settings).everything() == before


async def test_fault_8_methods_are_never_empty_and_urls_can_be_cleared(gateway: Gateway) -> None:
    """`httpMethods: []` was accepted on update; `invocationUrl` could not be cleared."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    error = await gateway.error(UPDATE_FUNCTION, input={"id": id_, "httpMethods": []})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "httpMethods")
    for url in ("http://hello.default.svc.cluster.local", None):
        await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": url})
        shown = await function(gateway, id_)
        assert (shown["invocationUrl"], shown["httpMethods"]) == (url, ["GET"])


async def test_fault_9_deleting_leaves_nothing(aws_server: str) -> None:
    """Objects, builds and functions past the first page stayed, and the SpinApp `hellofn` of `hello-fn` ran on."""
    deleted: list[str] = []

    async def kubernetes(request: Request) -> Response:
        if request.method == "DELETE":
            deleted.append(request.url.path.rsplit("/", 1)[-1])
        return JSONResponse({}, 404)

    routes = [Route("/{path:path}", kubernetes, methods=["GET", "DELETE"])]
    async with (
        serving(Starlette(routes=routes)) as url,
        running_gateway(aws_server, kubernetes_api_url=url) as gateway,
    ):
        contents = Contents(aws_server, gateway.settings)
        workspace_id = await gateway.create_workspace()
        partition = "WS#" + workspace_id
        deployed_by_former = {"name": "hello-fn", "invocationUrl": "http://hellofn.default.svc.cluster.local"}
        rows = [{"PK": partition, "SK": f"FN#fn-{n:08}", "code": "x" * 9000} for n in range(120)]
        build = {"PK": partition, "SK": "BUILD#V1StGXR8Z5jdHi6BmyT4xx", "status": "pending"}
        contents.put_rows([*rows, rows[0] | deployed_by_former, build][1:])
        contents.put_object(f"{workspace_id}/fn-00000000.py", b"x")
        contents.put_object(f"build-sources/{workspace_id}/V1StGXR8Z5jdHi6BmyT4xx/app.py", b"x")
        mutation = "mutation ($i: DeleteWorkspaceInput!) { deleteWorkspace(input: $i) { deletedWorkspaceId } }"
        await gateway.data(mutation, i={"id": workspace_id})
        assert contents.everything() == ({}, {})
        assert deleted == ["hellofn-hpa", "hellofn"]


async def test_fault_10_ids_are_no_queries_and_lines_are_sorted(aws_server: str, tmp_path: Path) -> None:
    """An id with a quote in it changed the PromQL, and lines were not sorted across streams."""
    asked: list[str] = []

    async def prometheus(request: Request) -> Response:
        asked.append(request.url.path)
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": []}})

    metrics = Starlette(routes=[Route("/{path:path}", prometheus, methods=["GET", "POST"])])
    async with (
        serving(metrics) as prometheus_url,
        serving(create_loki(tmp_path)) as loki_url,
        running_gateway(aws_server, prometheus_service_url=prometheus_url, loki_service_url=loki_url) as gateway,
    ):
        query = "query ($id: ID!) { function(id: $id) { metrics { cpu { current } } } }"
        error = await gateway.error(query, id='fn-x"}) or vector(1) #')
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "id")
        assert asked == []
        id_ = await gateway.create_function(await gateway.create_workspace())
        now_ns = time.time_ns()
        for pod, numbers in (("a", (1, 3)), ("b", (2, 4))):
            lines = [(now_ns - (10 - number) * 10**9, f"line {number}") for number in numbers]
            await push_lines(loki_url, {"function_id": id_, "pod": pod}, lines)
        query = "query ($id: ID!) { function(id: $id) { logs(direction: OLDEST_FIRST) { nodes { line } } } }"
        nodes = (await gateway.data(query, id=id_))["function"]["logs"]["nodes"]
        assert [node["line"] for node in nodes] == ["line 1", "line 2", "line 3", "line 4"]


@asynccontextmanager
async def building(aws_server: str) -> AsyncIterator[tuple[Stage, ScriptedBuilder]]:
    """The parts that carry builds, around a builder that says what it is told to."""
    async with (
        aws_clients(aws_server) as aws,
        scripted_builder() as script,
        staged(aws, script.url) as stage,
    ):
        yield stage, script


async def test_fault_11_builds_come_to_their_end_and_pushes_are_accepted(aws_server: str) -> None:
    """Builds of kind build stayed pending for ever, and every push was refused for want of an app_dir."""
    async with building(aws_server) as (stage, script):
        build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
        script.says("running")
        script.says("completed", result={"wasm_path": "s3://b/app.wasm"})
        await stage.rounds(2)
        assert (await stage.build(build.id)).status is BuildStatus.DONE
        script.deploys.append(ACCEPTED)
        async with open_http_client("builder", script.url) as client:
            await Builder(client).start_push("ws-00000001", "s3://b/a.zip", registry_url="r.example/f", tag="1")
        assert script.bodies[-1]["app_dir"]
        assert script.bodies[-1]["s3_source_path"] == "s3://b/a.zip"


async def test_fault_12_a_build_whose_gateway_died_is_ended(aws_server: str) -> None:
    """It stayed pending for ever."""
    async with building(aws_server) as (stage, _):
        orphan: BuildRecord = a_build(workspace_id=stage.workspace_id)
        await stage.dynamo.builds.create(orphan, lease_until=START)
        after = stage.restarted()
        loops = [asyncio.create_task(run()) for run in (after.poller.run, after.lookout.run)]
        try:
            with after.feed.watch(orphan.id) as watcher:
                async with asyncio.timeout(10):
                    ended = [event async for event in watcher][-1].build
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
        assert (ended.status, ended.error) == (BuildStatus.FAILED, "was never accepted by the builder")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[::ffff:169.254.169.254]/",
        "http://localhost:8000/graphql",
        "http://evil.example.com/.default.svc.cluster.local",
        "http://x.default.svc.cluster.local@169.254.169.254/",
        "file:///etc/passwd",
    ],
)
async def test_fault_13_an_invocation_url_is_an_address_of_functions(gateway: Gateway, url: str) -> None:
    """Any URL was accepted, the cloud's metadata address included."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    error = await gateway.error(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": url})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "invocationUrl")
    assert (await function(gateway, id_))["invocationUrl"] is None
