"""The subscription to invocations, on a socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.builds.live import LiveGateway, live_gateway
from tests.gateway import UPDATE_FUNCTION
from tests.observability import serving
from tests.stores import prepared_settings

FOLLOW = "subscription ($ws: ID!, $fn: ID) { executionLogs(workspaceId: $ws, functionId: $fn) { id } }"
FOLLOW_BODIES = """subscription ($ws: ID!) { executionLogs(workspaceId: $ws) { ...bodies function { name } } }
fragment bodies on ExecutionLog { id requestBody responseBody }"""
INVOKE = "mutation ($input: InvokeFunctionInput!) { invokeFunction(input: $input) { executionLog { id } } }"


async def echo(request: Request) -> Response:
    """Answer what was sent."""
    return Response(await request.body(), media_type="application/json")


@pytest.fixture
async def gateway(aws_server: str) -> AsyncIterator[LiveGateway]:
    """A gateway on a socket."""
    settings = await prepared_settings(aws_server)
    async with live_gateway(settings, invocation_allowed_hosts=("127.0.0.1",)) as gateway:
        yield gateway


async def follow(results: AsyncIterator[dict[str, Any]], id_: str | None = None) -> Any:
    """The next invocation; or that with an id, and none comes twice on the way."""
    seen: set[str] = set()
    while True:
        found = (await anext(results))["data"]["executionLogs"]
        assert found["id"] not in seen
        if id_ in {None, found["id"]}:
            return found
        seen.add(found["id"])


async def invoke(gateway: LiveGateway, function_id: str, body: Any) -> str:
    """Invoke a function; the log's id."""
    answer = await gateway.data(INVOKE, input={"functionId": function_id, "body": body})
    id_: str = answer["invokeFunction"]["executionLog"]["id"]
    return id_


async def test_invocations_as_they_are_recorded(gateway: LiveGateway) -> None:
    """Each comes once to all who follow, with the bodies where they are asked for, in a fragment too."""
    ws = await gateway.create_workspace()
    async with serving(Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])])) as url:
        fn = await gateway.create_function(ws, httpMethods=["POST"])
        await gateway.data(UPDATE_FUNCTION, input={"id": fn, "invocationUrl": url})
        async with (
            asyncio.timeout(30),
            gateway.events(FOLLOW, ws=ws, fn=fn) as plain,
            gateway.events(FOLLOW_BODIES, ws=ws) as with_bodies,
        ):
            begun = {asyncio.create_task(follow(results)) for results in (plain, with_bodies)}
            while begun:  # what is recorded before they are followed is not shown
                await invoke(gateway, fn, None)
                _, begun = await asyncio.wait(begun, timeout=0.5)
            for body in ({"n": 1}, "two"):
                id_ = await invoke(gateway, fn, body)
                assert await follow(plain, id_) == {"id": id_}
                expected = {"id": id_, "requestBody": body, "responseBody": body, "function": {"name": "hello"}}
                assert await follow(with_bodies, id_) == expected
