"""What a page reads starts at once: the object, and what is below it by its id."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.telemetry import recording_calls
from tests.gateway import Gateway, running_gateway
from tests.observability import serving
from tests.schema.test_calls import DASHBOARD, FUNCTION_PAGE, counted

HELD_S = 5.0
"""How long a request waits for the others before it fails."""


class Gate:
    """A front of DynamoDB that lets requests through only once as many as expected are there."""

    def __init__(self, aws_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=aws_url, timeout=30)
        self._expected = 0
        self._there: list[str] = []
        self._opened = asyncio.Event()

    def expect(self, count: int) -> None:
        """Hold what comes from now on until there are `count` of them."""
        self._expected, self._there, self._opened = count, [], asyncio.Event()

    async def answer(self, request: Request) -> Response:
        """Forward a request, once the others are there; the poller's go through."""
        body = await request.body()
        if self._expected and b"BUILDS#ACTIVE" not in body:
            self._there.append(request.headers.get("x-amz-target", ""))
            if len(self._there) == self._expected:
                self._opened.set()
            try:
                async with asyncio.timeout(HELD_S):
                    await self._opened.wait()
            except TimeoutError:
                return Response(f"only {self._there} came", 400)
        answer = await self._client.request(
            request.method, request.url.path, content=body, headers=request.headers
        )
        headers = {name: value for name, value in answer.headers.items() if name.startswith("x-am")}
        return Response(answer.content, answer.status_code, headers, answer.headers.get("content-type"))


@pytest.fixture
async def gate(aws_server: str) -> Gate:
    """A gate before the session's stand-in."""
    return Gate(aws_server)


@pytest.fixture
async def gateway(gate: Gate) -> AsyncIterator[Gateway]:
    """A gateway behind the gate."""
    app = Starlette(routes=[Route("/{path:path}", gate.answer, methods=["POST", "PUT", "GET", "HEAD"])])
    async with serving(app) as url, running_gateway(url) as running:
        yield running


async def test_dashboard_is_one_wave(gate: Gate, gateway: Gateway) -> None:
    """All five calls are under way before any is answered."""
    workspace_id = await gateway.create_workspace()
    await gateway.create_function(workspace_id)
    gate.expect(5)
    page = await gateway.data(DASHBOARD, id=workspace_id)
    assert len(page["workspace"]["functions"]["nodes"]) == 1


async def test_function_page_is_one_wave(gate: Gate, gateway: Gateway) -> None:
    """Both calls to DynamoDB are under way before any is answered."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    gate.expect(2)
    answer = await gateway.answer(FUNCTION_PAGE, id=function_id)
    assert answer["data"]["function"]["executionLogs"] == {"nodes": []}


async def test_early_field_under_an_alias_and_in_a_fragment(gateway: Gateway) -> None:
    """Fields find their own results, whatever they are called and wherever they stand."""
    workspace_id = await gateway.create_workspace()
    for name in ("one", "two"):
        await gateway.create_function(workspace_id, name)
    query = """query ($id: ID!, $no: Boolean = false) {
      a: workspace(id: $id) { ...F none: builds @include(if: $no) { nodes { id } } }
      b: workspace(id: $id) { functions(nameContains: "two") { nodes { name } } }
    }
    fragment F on Workspace {
      id first: functions(nameContains: "one") { nodes { name } } all: functions { totalCount }
    }"""
    with recording_calls() as calls:
        page = await gateway.data(query, id=workspace_id)
    assert page == {
        "a": {"id": workspace_id, "first": {"nodes": [{"name": "one"}]}, "all": {"totalCount": 2}},
        "b": {"functions": {"nodes": [{"name": "two"}]}},
    }
    assert counted(calls) == {"dynamodb BatchGetItem": 1, "dynamodb Query": 3}


async def test_error_of_an_early_field_stands_at_the_field(gateway: Gateway) -> None:
    """What a caller got wrong is told where it is, once."""
    workspace_id = await gateway.create_workspace()
    error = await gateway.error(
        "query ($id: ID!) { workspace(id: $id) { name page: functions(first: 0) { totalCount } } }",
        id=workspace_id,
    )
    assert error["path"] == ["workspace", "page"]
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert error["extensions"]["field"] == "first"


async def test_early_fields_of_what_is_not_there_are_dropped(gateway: Gateway) -> None:
    """The one error is that there is no such workspace."""
    query = (
        "query ($id: ID!) { workspace(id: $id) { functions(first: 0) { totalCount } builds { nodes { id } } } }"
    )
    error = await gateway.error(query, id="ws-nowhere1")
    assert error["extensions"]["code"] == "NOT_FOUND"
    error = await gateway.error(query, id="../ws")
    assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert error["path"] == ["workspace"]
