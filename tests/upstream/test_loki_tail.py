"""Following a function's lines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from gateway.errors import LokiConnectionError, LokiError
from gateway.local.loki.app import create_app
from gateway.records.logs import LogEntryRecord
from gateway.upstream.loki import LokiTail
from gateway.upstream.loki import tail as tail_module
from tests.observability import push_lines, serving

FUNCTION = {"function_id": "fn-00000001", "pod": "a"}


def now_ns() -> int:
    """Nanoseconds since the epoch."""
    return int(datetime.now(UTC).timestamp() * 1e9)


async def take(lines: AsyncIterator[LogEntryRecord], count: int) -> list[str]:
    """The next lines' texts."""
    async with asyncio.timeout(10):
        return [(await anext(lines)).line for _ in range(count)]


async def test_lines_as_they_come(tmp_path: Path) -> None:
    """What was there since the start comes first, then what is pushed; others' lines and other texts do not."""
    async with serving(create_app(tmp_path)) as url:
        since = datetime.now(UTC)
        await push_lines(url, FUNCTION, [(now_ns(), "early one"), (now_ns(), "nothing")])
        following = LokiTail(url).follow("fn-00000001", since=since, contains="one")
        async with aclosing(following) as lines:
            assert await take(lines, 1) == ["early one"]
            await push_lines(url, {"function_id": "fn-00000002"}, [(now_ns(), "another's one")])
            await push_lines(url, FUNCTION, [(now_ns(), "late one"), (now_ns() + 1, "very late one")])
            assert await take(lines, 2) == ["late one", "very late one"]


async def test_tail_that_ends_is_connected_again() -> None:
    """A tail that Loki ends goes on without a gap and without a line twice."""
    frames = [
        ['{"streams": [{"stream": {"pod": "a"}, "values": [["1", "one"], ["2", "two"]]}]}'],
        ['{"streams": [{"stream": {"pod": "a"}, "values": [["2", "two"], ["2", "two b"], ["3", "three"]]}]}'],
    ]
    asked: list[str] = []

    async def serve_tail(socket: WebSocket) -> None:
        asked.append(socket.query_params["start"])
        await socket.accept()
        for frame in frames[len(asked) - 1] if len(asked) <= len(frames) else []:
            await socket.send_text(frame)
        if len(asked) > len(frames):
            await socket.receive_text()
        await socket.close(1000, "reached tail max duration limit")

    async with serving(Starlette(routes=[WebSocketRoute(tail_module.PATH, serve_tail)])) as url:
        since = datetime(1970, 1, 1, tzinfo=UTC)
        async with aclosing(LokiTail(url).follow("fn-00000001", since=since, contains=None)) as lines:
            assert await take(lines, 4) == ["one", "two", "two b", "three"]
    assert asked[:2] == ["0", "2"]


async def test_query_that_loki_refuses() -> None:
    """A refusal at the handshake is told in Loki's words."""

    async def refuse(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("parse error : syntax error", 400))

    app = Starlette(routes=[WebSocketRoute(tail_module.PATH, refuse)])
    async with (
        serving(app) as url,
        aclosing(LokiTail(url).follow("fn-00000001", since=None, contains=None)) as lines,
    ):
        with pytest.raises(LokiError, match="parse error : syntax error"):
            await take(lines, 1)


async def test_loki_that_does_not_answer() -> None:
    """A Loki that stays away is an error after some attempts."""
    tail = LokiTail("http://127.0.0.1:9", retry_s=0.01)
    async with aclosing(tail.follow("fn-00000001", since=None, contains=None)) as lines:
        with pytest.raises(LokiConnectionError):
            await take(lines, 1)
