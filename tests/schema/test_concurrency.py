"""What several do at once: nothing is lost, nothing is brought back."""

import asyncio
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.contents import Contents
from tests.gateway import NOBODY, UPDATE_FUNCTION, Gateway, running_gateway
from tests.observability import serving
from tests.serving import serving as serving_process
from tests.stores import StoppedClock

INVOKE = "mutation ($input: InvokeFunctionInput!) { invokeFunction(input: $input) { executionLog { id } } }"
DELETE = "mutation ($input: DeleteFunctionInput!) { deleteFunction(input: $input) { deletedFunctionId } }"
FIGURES = """query ($id: ID!) {
  function(id: $id) {
    invocations24h errors24h errorRate avgDuration lastModified
    invocationHistory { start invocations errors }
    executionLogs(first: 1000) { nodes { id } }
    workspace { invocations24h errors24h errorRate }
  }
}"""


async def answer(request: Request) -> Response:
    """Every fourth call fails."""
    number = int(request.query_params["n"])
    return PlainTextResponse("ok", 500 if number % 4 == 0 else 200)


FUNCTION_SERVER = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


async def test_invocations_from_several_processes(aws_server: str, tmp_path: Path) -> None:
    """200 at once through two processes on one table are 200, logged and counted, and lastModified stays."""
    async with (
        serving(FUNCTION_SERVER) as function_url,
        running_gateway(aws_server, invocation_allowed_hosts=("127.0.0.1",)) as gateway,
    ):
        id_ = await gateway.create_function(await gateway.create_workspace())
        await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": function_url})
        before = (await gateway.data(FIGURES, id=id_))["function"]["lastModified"]
        environment = {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "AWS_ENDPOINT_URL": aws_server,
            "DYNAMODB_TABLE_NAME": gateway.settings.dynamodb_table_name,
            "S3_BUCKET_NAME": gateway.settings.s3_bucket_name,
            "INVOCATION_ALLOWED_HOSTS": "127.0.0.1",
            **{f"{system}_SERVICE_URL": NOBODY for system in ("BUILDER", "LOKI", "PROMETHEUS")},
        }
        command = [sys.executable, "-m", "gateway", "serve"]
        with ExitStack() as stack:
            processes = [
                serving_process(command, tmp_path / f"{n}.log", environment=environment) for n in range(2)
            ]
            urls = [stack.enter_context(process).url for process in processes]
            async with httpx.AsyncClient(timeout=60, trust_env=False) as client, asyncio.timeout(60):

                async def invoke(number: int) -> str:
                    variables = {"input": {"functionId": id_, "path": f"/?n={number}"}}
                    body = {"query": INVOKE, "variables": variables}
                    response = await client.post(f"{urls[number % 2]}/graphql", json=body)
                    log: str = response.json()["data"]["invokeFunction"]["executionLog"]["id"]
                    return log

                logged = await asyncio.gather(*(invoke(number) for number in range(200)))
        function = (await gateway.data(FIGURES, id=id_))["function"]
    assert (function["invocations24h"], function["errors24h"], function["errorRate"]) == (200, 50, 25.0)
    assert function["workspace"] == {"invocations24h": 200, "errors24h": 50, "errorRate": 25.0}
    assert {node["id"] for node in function["executionLogs"]["nodes"]} == set(logged)
    assert function["lastModified"] == before


@pytest.mark.parametrize("hours", [0, 9, -3.5, 5.75, 14])
async def test_figures_across_midnight(aws_server: str, clock: StoppedClock, hours: float) -> None:
    """An hour is an hour wherever the clock is: buckets are absolute, and a day's end is no end of theirs."""
    zone = timezone(timedelta(hours=hours))
    clock.now = datetime(2026, 3, 28, 23, 30, tzinfo=zone)
    async with (
        serving(FUNCTION_SERVER) as function_url,
        running_gateway(aws_server, clock=clock, invocation_allowed_hosts=("127.0.0.1",)) as gateway,
    ):
        id_ = await gateway.create_function(await gateway.create_workspace())
        await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": function_url})
        times = []
        for number in (1, 4):
            await gateway.data(INVOKE, input={"functionId": id_, "path": f"/?n={number}"})
            times.append(clock.now)
            clock.advance(hours=1)

        async def history() -> list[tuple[datetime, int, int]]:
            buckets = (await gateway.data(FIGURES, id=id_))["function"]["invocationHistory"]
            assert len(buckets) == 24
            starts = [datetime.fromisoformat(bucket["start"]) for bucket in buckets]
            assert {after - before for before, after in pairwise(starts)} == {timedelta(hours=1)}
            counts = [(bucket["invocations"], bucket["errors"]) for bucket in buckets]
            return [(start, *count) for start, count in zip(starts, counts, strict=True) if count != (0, 0)]

        first, second = (time.astimezone(UTC).replace(minute=0) for time in times)
        assert await history() == [(first, 1, 0), (second, 1, 1)]
        clock.now = first + timedelta(hours=23, minutes=59, seconds=59)
        assert await history() == [(first, 1, 0), (second, 1, 1)]
        clock.advance(seconds=1)
        assert await history() == [(second, 1, 1)]
        clock.advance(hours=1)
        assert await history() == []


async def test_updates_of_different_fields_at_once(gateway: Gateway) -> None:
    """All of them stay."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    changes: list[dict[str, Any]] = [
        {"name": "renamed"},
        {"description": "new"},
        {"memory": 512},
        {"timeout": 60},
        {"httpMethods": ["PUT"]},
        {"environmentVariables": [{"name": "A", "value": "1"}]},
        {"status": "DISABLED"},
        {"invocationUrl": "http://x.default.svc.cluster.local"},
    ]
    await asyncio.gather(*(gateway.data(UPDATE_FUNCTION, input={"id": id_, **change}) for change in changes))
    fields = " ".join(name for change in changes for name in change).replace(
        "Variables", "Variables { name value }"
    )
    function = (await gateway.data(f"query ($id: ID!) {{ function(id: $id) {{ {fields} }} }}", id=id_))["function"]
    assert function == {name: value for change in changes for name, value in change.items()}


async def test_update_when_it_is_deleted_at_once(aws_server: str, gateway: Gateway) -> None:
    """An update that meets a deletion is done or NOT_FOUND, and never brings a row or an object back."""
    workspace_id = await gateway.create_workspace()
    for _ in range(5):
        id_ = await gateway.create_function(workspace_id)
        update = {"id": id_, "name": "late", "code": "cGFzcw=="}
        answers = await asyncio.gather(
            gateway.answer(UPDATE_FUNCTION, input=update),
            gateway.answer(DELETE, input={"id": id_}),
            gateway.answer(UPDATE_FUNCTION, input={"id": id_, "memory": 512}),
        )
        codes = [each["errors"][0]["extensions"]["code"] for each in answers if "errors" in each]
        assert set(codes) <= {"NOT_FOUND"}
    contents = Contents(aws_server, gateway.settings)
    assert set(contents.rows()) == {("WS#" + workspace_id, "METADATA"), ("WS#" + workspace_id, "WSSTATS")}
    assert contents.objects() == {}


async def test_update_when_a_deploy_is_under_way(aws_server: str, gateway: Gateway) -> None:
    """The status is the deploy's: CONFLICT, which names the build; what a deploy does not write can be changed."""
    workspace_id = await gateway.create_workspace()
    id_ = await gateway.create_function(workspace_id)
    contents = Contents(aws_server, gateway.settings)
    key = ("WS#" + workspace_id, "FN#" + id_)
    contents.put_rows([contents.rows()[key] | {"active_build_id": "b1", "status": "deploying"}])
    error = await gateway.error(UPDATE_FUNCTION, input={"id": id_, "status": "DISABLED", "name": "x"})
    assert error["extensions"] == {
        "code": "CONFLICT",
        "field": "status",
        "retryable": True,
        "details": {"buildId": "b1"},
    }
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "name": "renamed"})
    row = contents.rows()[key]
    assert (row["name"], row["status"], row["active_build_id"]) == ("renamed", "deploying", "b1")
