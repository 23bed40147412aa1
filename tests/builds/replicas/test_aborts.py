"""Deploys whose caller leaves while they are being stored: each goes on, or was never begun."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import DEPLOY, Platform, Replica
from tests.builds.replicas.watching import opened
from tests.builds.samples import eventually
from tests.local.builder.stage import serving

FUNCTION = """query ($id: ID!) {
  function(id: $id) { status builds { nodes { status } } deployments { nodes { id } } }
}"""


@dataclass
class HeldDynamo:
    """A way to DynamoDB that keeps what begins a build of a function until its caller has left."""

    target: str
    client: httpx.AsyncClient
    kept: dict[str, str] = field(default_factory=dict)
    """By function: whether the write is kept `before` it is made, or its answer `after`, or is `never` made."""
    met: set[str] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        """Any call."""
        body = await request.body()
        begins = request.headers.get("x-amz-target", "").endswith("TransactWriteItems") and b'"Put"' in body
        function = next((id_ for id_ in self.kept if begins and id_.encode() in body), None)
        if function is None or function in self.met:
            return await self._pass(request, body)
        self.met.add(function)
        if self.kept[function] == "after":
            answer = await self._pass(request, body)
            await self.released.wait()
            return answer
        await self.released.wait()
        if self.kept[function] == "never":
            return Response(status_code=400)
        return await self._pass(request, body)

    async def _pass(self, request: Request, body: bytes) -> Response:
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        url = f"{self.target}{request.url.path}"
        passed = await self.client.request(request.method, url, content=body, headers=headers)
        kept = {name: value for name, value in passed.headers.items() if name.startswith(("x-amz", "content-ty"))}
        return Response(passed.content, passed.status_code, kept)


@asynccontextmanager
async def held_dynamo(target: str) -> AsyncIterator[tuple[HeldDynamo, str]]:
    """Serve one; its URL."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        proxy = HeldDynamo(target, client)
        app = Starlette(routes=[Route("/{path:path}", proxy.answer, methods=["GET", "POST"])])
        async with serving(app) as url:
            yield proxy, url


Deploy = Callable[[Replica, dict[str, Any], asyncio.Event], Coroutine[Any, Any, None]]


async def complete(replica: Replica, operation: dict[str, Any], leave: asyncio.Event) -> None:
    """Deploy over a socket, and complete the operation in the middle; the socket goes on."""
    async with opened(replica.url) as socket:
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        await leave.wait()
        await socket.send('{"type":"complete","id":"1"}')
        await socket.send('{"type":"ping"}')
        assert json.loads(await socket.recv()) == {"type": "pong"}


async def close(replica: Replica, operation: dict[str, Any], leave: asyncio.Event) -> None:
    """Deploy over a socket, and close it in the middle."""
    async with opened(replica.url) as socket:
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        await leave.wait()


async def hang_up(replica: Replica, operation: dict[str, Any], leave: asyncio.Event) -> None:
    """Deploy over plain HTTP, and hang up in the middle."""
    async with httpx.AsyncClient(base_url=replica.url, trust_env=False, timeout=30) as client:
        posting = asyncio.create_task(client.post("/graphql", json=operation))
        await leave.wait()
        posting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await posting


WAYS: tuple[tuple[Deploy, str], ...] = (
    (complete, "before"),
    (complete, "after"),
    (complete, "never"),
    (close, "before"),
    (close, "after"),
    (close, "never"),
    (hang_up, "before"),
    (hang_up, "after"),
)


async def test_deploy_function_when_its_caller_leaves(shared: Platform, builder: PacedBuilder) -> None:
    """What was stored goes on to its one deployment, whether or not anybody heard of it; the rest never was."""
    async with held_dynamo(shared.settings.aws_endpoint_url or "") as (dynamo, url):
        replica = await shared.replica("replica", told={"AWS_ENDPOINT_URL_DYNAMODB": url})
        workspace_id = await replica.create_workspace()
        functions = [await replica.create_function(workspace_id, f"fn{number}x") for number in range(len(WAYS))]
        dynamo.kept = {id_: kept for id_, (_, kept) in zip(functions, WAYS, strict=True)}
        leave = asyncio.Event()
        callers = [
            asyncio.create_task(
                deploy(replica, {"query": DEPLOY, "variables": {"input": {"functionId": id_}}}, leave)
            )
            for id_, (deploy, _) in zip(functions, WAYS, strict=True)
        ]

        async def all_kept() -> bool:
            return dynamo.met == set(functions)

        await eventually(all_kept, seconds=10)
        leave.set()
        await asyncio.gather(*callers)
        await asyncio.sleep(0.5)  # for the gateway to notice that they left
        dynamo.released.set()
        begun = [id_ for id_, (_, kept) in zip(functions, WAYS, strict=True) if kept != "never"]

        async def all_done() -> bool:
            found = [(await replica.data(FUNCTION, id=id_))["function"] for id_ in begun]
            return all([node["status"] for node in one["builds"]["nodes"]] == ["DONE"] for one in found)

        await eventually(all_done, seconds=30)
        for id_ in functions:
            function = (await replica.data(FUNCTION, id=id_))["function"]
            assert function["status"] == "ACTIVE"
            expected = 1 if id_ in begun else 0
            assert [len(function[name]["nodes"]) for name in ("builds", "deployments")] == [expected] * 2
        assert len(builder.uploads) == len(builder.deploys) == len(begun)
        again = await replica.data(DEPLOY, input={"functionId": functions[2]})
        await replica.until(again["deployFunction"]["build"]["id"], "DONE")
        assert "Traceback" not in shared.log_of("replica")
