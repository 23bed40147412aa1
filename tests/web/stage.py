"""The whole gateway on a real socket, with a function behind it that does what its path says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway import BASE_URL, NOBODY, UPDATE_FUNCTION, Gateway
from tests.observability import serving, wait_until
from tests.stores import prepared_settings

LOGS = """query ($id: ID!) {
  function(id: $id) {
    invocations24h errors24h
    executionLogs { nodes { id status statusCode level requestBody responseBody logs } }
  }
}"""
HEADERS = [
    (b"content-type", b"text/plain"),
    (b"x-own", b"1"),
    (b"x-own", b"2"),
    (b"connection", b"x-hop"),
    (b"x-hop", b"no"),
    (b"set-cookie", b"a=b"),
    (b"clear-site-data", b"*"),
    (b"access-control-allow-origin", b"https://its.own"),
    (b"content-security-policy", b"default-src 'self'"),
]
FIXED = {
    "headers": (200, HEADERS, b"ok"),
    "large": (200, [(b"content-type", b"text/plain"), (b"content-length", b"10000000")], b"y" * 10_000_000),
    "broken": (200, [(b"content-length", b"100")], b"part"),
    "unchanged": (304, [(b"etag", b"x")], b""),
    "impossible": (101, [], b""),
}
"""What is answered to some paths: status, headers and body; that of `broken` is not whole."""


@dataclass(slots=True)
class Function:
    """The function; tests wait for what it notes, and let it go on."""

    seen: list[Scope] = field(default_factory=list)
    chunks: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the last part of its path."""
        if scope["type"] != "http":
            return
        self.seen.append(scope)
        name = scope["path"].strip("/").rpartition("/")[2]
        try:
            if name in FIXED:
                status, headers, body = FIXED[name]
                await start(send, headers, status)
                await send({"type": "http.response.body", "body": body, "more_body": name == "broken"})
            else:
                await getattr(self, f"_{name}", self._echo)(scope, receive, send)
        except ClientDisconnect:
            self.left.set()

    async def _slow(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()

    async def _drip(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send, [(b"content-type", b"text/plain")])
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.wait_for(self.go_on.wait(), 10)
        await send({"type": "http.response.body", "body": b"last"})

    async def _endless(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, [])
        leaving = asyncio.create_task(self._slow(_scope, receive, send))
        while not self.left.is_set():
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            await asyncio.sleep(0.01)
        await leaving

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        async for chunk in Request(scope, receive).stream():
            self.chunks.put_nowait(chunk)
        await start(send, [])
        await send({"type": "http.response.body", "body": b"thanks"})

    async def _refuse(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await start(send, [(b"content-length", b"3")], 413)
        await send({"type": "http.response.body", "body": b"big"})

    async def _duplex(self, scope: Scope, receive: Receive, send: Send) -> None:
        await start(send, [])
        async for chunk in Request(scope, receive).stream():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _echo(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = {
            "method": scope["method"],
            "target": (scope["raw_path"] + b"?" + scope["query_string"]).decode(),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
            "body": (await Request(scope, receive).body()).decode(),
        }
        content = json.dumps(told).encode()
        length = str(len(content)).encode()
        await start(send, [(b"content-type", b"application/json"), (b"content-length", length)])
        await send({"type": "http.response.body", "body": content})


async def start(send: Send, headers: list[tuple[bytes, bytes]], status: int = 200) -> None:
    """Send the head of an answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway with one deployed function."""

    url: str
    client: httpx.AsyncClient
    gateway: Gateway
    function: Function
    function_url: str
    workspace_id: str
    id: str

    def path(self, rest: str) -> str:
        """The function's path at the gateway."""
        return f"/invoke/{self.id}/{rest}"

    async def update(self, **changes: Any) -> None:
        """Change the function."""
        await self.gateway.data(UPDATE_FUNCTION, input={"id": self.id, **changes})

    async def state(self) -> Any:
        """The function with its logs and figures."""
        return (await self.gateway.data(LOGS, id=self.id))["function"]

    async def log(self) -> Any:
        """The one log that there is, as soon as it is there."""

        async def is_there() -> bool:
            return bool((await self.state())["executionLogs"]["nodes"])

        await wait_until(is_there)
        (log,) = (await self.state())["executionLogs"]["nodes"]
        return log


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error of the gateway's."""
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


async def raw(stage: Stage, head: bytes, client: str = "127.0.0.1") -> bytes:
    """The answer to a request whose head is sent as it is, from an address of this machine."""
    host, port = stage.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(client, 0))
    writer.write(head + b"\r\nhost: gateway.example.com\r\nconnection: close\r\n\r\n")
    content = await reader.read()
    writer.close()
    await writer.wait_closed()
    return content


@dataclass(slots=True)
class Hall:
    """A running gateway and the server of its functions, for stage after stage."""

    url: str
    client: httpx.AsyncClient
    gateway: Gateway
    function_url: str = ""
    function: Function = field(default_factory=Function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the function of the stage that is on."""
        await self.function(scope, receive, send)

    async def stage(self, *methods: str) -> Stage:
        """Deploy a function that accepts these methods and takes 20 s at the most."""
        self.function = Function()
        workspace_id = await self.gateway.create_workspace()
        id_ = await self.gateway.create_function(workspace_id, httpMethods=list(methods), timeout=20)
        stage = Stage(self.url, self.client, self.gateway, self.function, self.function_url, workspace_id, id_)
        await stage.update(invocationUrl=self.function_url)
        return stage


@asynccontextmanager
async def opened_hall(aws_url: str, **overrides: Any) -> AsyncIterator[Hall]:
    """Run a gateway that may call this machine; `overrides` are settings."""
    stores = await prepared_settings(aws_url)
    values = {
        "builder_service_url": NOBODY,
        "loki_service_url": NOBODY,
        "prometheus_service_url": NOBODY,
        "kubernetes_api_url": NOBODY,
        "invocation_allowed_hosts": ("127.0.0.1",),
        **overrides,
    }
    settings: Settings = stores.model_copy(update=values)
    app = create_app(settings, base_url=BASE_URL, draining=asyncio.Event())
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        hall = Hall(url, client, Gateway(client, settings))
        async with serving(hall) as hall.function_url:
            yield hall
