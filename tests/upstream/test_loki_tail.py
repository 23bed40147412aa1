"""Following a function's lines."""

import asyncio
import json
import re
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.errors import LokiConnectionError, LokiError, OperationTimeoutError
from gateway.local.loki.app import create_app
from gateway.records.logs import LogEntryRecord
from gateway.upstream.loki import LokiTail
from gateway.upstream.loki import tail as tail_module
from gateway.upstream.loki.client import nanoseconds
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
        tail = LokiTail(url).follow("fn-00000001", since=since, contains="one")
        async with aclosing(tail) as lines:
            assert await take(lines, 1) == ["early one"]
            await push_lines(url, {"function_id": "fn-00000002"}, [(now_ns(), "another's one")])
            await push_lines(url, FUNCTION, [(now_ns(), "late one"), (now_ns() + 1, "very late one")])
            assert await take(lines, 2) == ["late one", "very late one"]


def frame(*lines: tuple[int, str], level: str | None = None, **more: object) -> str:
    """Lines of one stream as Loki sends them; those that were stored have a level."""
    stream = {"pod": "a"} if level is None else {"pod": "a", "detected_level": level}
    values = [[str(timestamp_ns), line] for timestamp_ns, line in lines]
    return json.dumps({"streams": [{"stream": stream, "values": values}], **more})


@asynccontextmanager
async def following(
    serve: Callable[[WebSocket, int], Awaitable[None]], *, since: datetime | None = None
) -> AsyncIterator[tuple[AsyncIterator[LogEntryRecord], list[int]]]:
    """Follow a Loki that does with each tail what `serve` says: the lines, and the starts it was asked for."""
    asked: list[int] = []

    async def handle(socket: WebSocket) -> None:
        asked.append(int(socket.query_params["start"]))
        await serve(socket, len(asked) - 1)

    app = Starlette(routes=[WebSocketRoute(tail_module.PATH, handle)])
    async with serving(app) as url:
        tail = LokiTail(url, retry_s=0.01)
        async with aclosing(tail.follow("fn-00000001", since=since, contains=None)) as lines:
            yield lines, asked


async def stay(socket: WebSocket) -> None:
    """Hold the connection until the other side leaves."""
    with suppress(WebSocketDisconnect):
        await socket.receive_text()


async def test_tail_that_ends_is_connected_again() -> None:
    """A tail that Loki ends goes on without a gap and without a line twice, with what came late meanwhile."""
    now = now_ns()
    second = 10**9
    frames = [
        frame((now - 30 * second, "one"), (now, "two")),
        frame((now - 5 * second, "late"), (now, "two"), (now, "two b"), (now + 1, "three"), level="info"),
    ]

    async def serve(socket: WebSocket, number: int) -> None:
        await socket.accept()
        if number == len(frames):
            await stay(socket)
        else:
            await socket.send_text(frames[number])
            await socket.close(1000, "reached tail max duration limit")

    since = datetime.now(UTC) - timedelta(minutes=1)
    async with following(serve, since=since) as (lines, asked):
        assert await take(lines, 5) == ["one", "two", "late", "two b", "three"]
    assert asked[:2] == [nanoseconds(since), now - 10 * second]


async def test_lines_that_came_take_little_memory() -> None:
    """What is kept to know a line again is its hash, whatever its length."""
    now = now_ns()
    frames = [
        frame(*((now + n, f"{n} " + "x" * 10_000) for n in range(at, at + 100))) for at in range(0, 1500, 100)
    ]

    async def serve(socket: WebSocket, _number: int) -> None:
        await socket.accept()
        for text in frames:
            await socket.send_text(text)
        await stay(socket)

    async with following(serve) as (lines, _):
        await take(lines, 1)
        tracemalloc.start()
        try:
            await take(lines, 1499)
            assert tracemalloc.get_traced_memory()[0] < 4_000_000  # of 15 MB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("since", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
async def test_since_beyond_what_loki_reads(since: datetime) -> None:
    """Loki refuses a start that is over 30 days ago or to come: it is asked for what it has."""

    async def serve(socket: WebSocket, _number: int) -> None:
        await socket.accept()
        await socket.send_text(frame((now_ns(), "line")))
        await stay(socket)

    async with following(serve, since=since) as (lines, asked):
        assert await take(lines, 1) == ["line"]
    begin = datetime.now(UTC) - (timedelta(days=30) if since.year == 1 else timedelta(0))
    assert nanoseconds(begin) - 10 * 10**9 < asked[0] <= nanoseconds(begin)


async def test_query_that_loki_refuses() -> None:
    """A refusal at the handshake is told in Loki's words, at once."""

    async def refuse(socket: WebSocket, _number: int) -> None:
        await socket.send_denial_response(PlainTextResponse("parse error : syntax error", 400))

    async with following(refuse) as (lines, asked):
        with pytest.raises(LokiError, match="status 400: parse error : syntax error") as raised:
            await take(lines, 1)
    assert (len(asked), raised.value.retryable) == (1, False)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_loki_that_is_not_ready(status: int) -> None:
    """What passes is waited for like a Loki that is away, and told as retryable when it does not pass."""
    ready_at = 4

    async def refuse(socket: WebSocket, number: int) -> None:
        if number == ready_at:
            await socket.accept()
            await socket.send_text(frame((now_ns(), "line")))
            await socket.close(1001)
        else:
            await socket.send_denial_response(PlainTextResponse("not ready", status))

    async with following(refuse) as (lines, asked):
        assert await take(lines, 1) == ["line"]
        with pytest.raises(LokiError, match=f"with status {status}: not ready") as raised:
            await take(lines, 1)
    assert (len(asked), type(raised.value), raised.value.retryable) == (ready_at + 1 + 5, LokiError, True)


async def test_loki_that_accepts_and_refuses() -> None:
    """Loki says after the handshake that it has tails enough: it is asked again, and its words are told."""
    words = "max concurrent tail requests limit exceeded, count > limit (11 > 10)"

    async def refuse(socket: WebSocket, _number: int) -> None:
        await socket.accept()
        await socket.close(1011, words)

    async with following(refuse) as (lines, asked):
        with pytest.raises(LokiError, match=re.escape(words)) as raised:
            await take(lines, 1)
    assert (len(asked), raised.value.retryable) == (5, True)


async def test_lines_that_loki_left_out() -> None:
    """A follower that was too slow is told so, before it gets a line from behind the gap."""
    now = now_ns()

    async def serve(socket: WebSocket, _number: int) -> None:
        await socket.accept()
        await socket.send_text(frame((now, "one"), dropped_entries=None))
        dropped = [{"labels": {"pod": "a"}, "timestamp": str(now + 1)}]
        await socket.send_text(frame((now + 2, "three"), dropped_entries=dropped))
        await stay(socket)

    async with following(serve) as (lines, _):
        assert await take(lines, 1) == ["one"]
        with pytest.raises(OperationTimeoutError, match="fell behind the lines of fn-00000001"):
            await take(lines, 1)


async def test_frame_that_is_too_large() -> None:
    """More than 32 MB at once would come again with every connection: it is told at once."""

    async def serve(socket: WebSocket, _number: int) -> None:
        await socket.accept()
        await socket.send_text(" " * (tail_module.MAX_FRAME_BYTES + 1))
        await stay(socket)

    async with following(serve) as (lines, asked):
        with pytest.raises(LokiError, match="sent more than 32 MB of lines") as raised:
            await take(lines, 1)
    assert (len(asked), raised.value.retryable) == (1, False)


async def test_loki_that_does_not_answer() -> None:
    """A Loki that stays away is an error after some attempts."""
    tail = LokiTail("http://127.0.0.1:9", retry_s=0.01)
    async with aclosing(tail.follow("fn-00000001", since=None, contains=None)) as lines:
        with pytest.raises(LokiConnectionError):
            await take(lines, 1)
