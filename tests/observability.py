"""What tests of logs and metrics share: apps on real sockets, and the stand-ins filled with what a test needs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.local.processes import listen, url_of
from gateway.local.prometheus.exposition import Labels

Lines = Iterable[tuple[int, str]]


@contextlib.asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app on a free port of this machine; its URL."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with listen() as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            await running


def verbose_app(size_mb: int) -> ASGIApp:
    """A system whose answers are that large."""

    async def spaces() -> AsyncIterator[bytes]:
        for _ in range(size_mb):
            yield b" " * 1024**2

    async def answer(_request: Request) -> Response:
        return StreamingResponse(spaces(), media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


async def push_lines(url: str, labels: Mapping[str, str], lines: Lines) -> None:
    """Push lines of one stream, times in nanoseconds, to a Loki."""
    values = [[str(timestamp_ns), line] for timestamp_ns, line in lines]
    async with httpx.AsyncClient(base_url=url) as client:
        response = await client.post(
            "/loki/api/v1/push", json={"streams": [{"stream": dict(labels), "values": values}]}
        )
    assert response.status_code == 204, response.text


def label(name: str, **labels: str) -> Labels:
    """The labels of a sample as the Prometheus stand-in keeps them."""
    return tuple(sorted({"__name__": name, **labels}.items()))


async def wait_until(check: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    """Await `check()` until it is true; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not await check():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
