"""The walk of a user through a gateway's API: create, deploy, watch, invoke, observe; over real sockets."""

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

GREETER = """\
import os
from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        print("called", request.method, request.uri)
        greeting = os.environ.get("GREETING", "?")
        return Response(200, {"content-type": "text/plain"}, bytes(greeting + ", Blue!", "utf-8"))
"""

CREATE_WORKSPACE = """mutation ($input: CreateWorkspaceInput!) {
  createWorkspace(input: $input) { workspace { id } }
}"""
CREATE_FUNCTION = """mutation ($input: CreateFunctionInput!) {
  createFunction(input: $input) { function { id } }
}"""
DEPLOY = """mutation ($input: DeployFunctionInput!) {
  deployFunction(input: $input) { build { id status sequence } }
}"""
PROGRESS = """subscription ($id: ID!) {
  buildProgress(id: $id, after: 0) {
    sequence status
    build { isFinished error steps { status } function { status invocationUrl } deployment { isCurrent } }
  }
}"""
INVOKE = """mutation ($input: InvokeFunctionInput!) {
  invokeFunction(input: $input) { executionLog { id status statusCode responseBody logs } }
}"""


@dataclass(frozen=True, slots=True)
class Walker:
    """Someone who uses the gateway at `url`, which has no path."""

    url: str

    async def answer(self, query: str, **variables: Any) -> Any:
        """The whole answer of an operation."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            response = await client.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
        return response.json()

    async def data(self, query: str, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def create_function(self, source: str, **values: Any) -> str:
        """The id of a new function in a workspace of its own."""
        created = await self.data(CREATE_WORKSPACE, input={"name": "Walk"})
        given = {
            "workspaceId": created["createWorkspace"]["workspace"]["id"],
            "name": "hello",
            "httpMethods": ["GET", "POST"],
            "code": base64.b64encode(source.encode()).decode(),
            **values,
        }
        created = await self.data(CREATE_FUNCTION, input=given)
        id_: str = created["createFunction"]["function"]["id"]
        return id_

    async def deploy(self, function_id: str, within_s: float = 240) -> list[Any]:
        """Deploy a function and follow its build until the server completes; the events."""
        deployed = await self.data(DEPLOY, input={"functionId": function_id})
        async with asyncio.timeout(within_s):
            return await self.follow(deployed["deployFunction"]["build"]["id"])

    async def follow(self, build_id: str) -> list[Any]:
        """Every event of a build over graphql-transport-ws, from its first state to the server's `complete`."""
        address = self.url.replace("http", "ws", 1) + "/graphql"
        events: list[Any] = []
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type": "connection_init"}')
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
            payload = {"query": PROGRESS, "variables": {"id": build_id}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            while True:
                message = json.loads(await socket.recv())
                match message["type"]:
                    case "next":
                        events.append(message["payload"]["data"]["buildProgress"])
                    case "ping":
                        await socket.send('{"type": "pong"}')
                    case "complete":
                        return events
                    case _:
                        raise AssertionError(message)

    async def invoke(self, function_id: str, **values: Any) -> Any:
        """The execution log of an invocation."""
        answer = await self.data(INVOKE, input={"functionId": function_id, **values})
        return answer["invokeFunction"]["executionLog"]


async def eventually(read: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], *, within_s: float) -> Any:
    """What `read` answers once it holds; fails with the last answer when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        answer = await read()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {answer}"
        await asyncio.sleep(0.2)
