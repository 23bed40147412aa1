"""Lines as they come in, for those who follow them over a WebSocket."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.local.loki.logql import LogSelector
from gateway.local.loki.push import NewStreams

MAX_WAITING = 1000
"""Frames that a slow reader may lag behind; what comes then is dropped, and the next frame says so."""
TAIL_S = 3600
"""Loki ends a tail after an hour (tail_max_duration)."""

Streams = list[dict[str, Any]]


class Tail:
    """One reader's queue of frames."""

    def __init__(self, selector: LogSelector) -> None:
        self._selector = selector
        self._waiting: asyncio.Queue[Streams] = asyncio.Queue(MAX_WAITING)
        self._dropped: list[dict[str, Any]] = []

    def offer(self, streams: NewStreams) -> None:
        """Queue the lines that this reader asked for, if any."""
        found: Streams = []
        for labels, lines in streams:
            if not self._selector.selects(labels):
                continue
            for line in lines:
                if self._selector.accepts(line.line):
                    stream = {**labels, "detected_level": line.level}
                    found.append({"stream": stream, "values": [[str(line.ts), line.line]]})
        if not found:
            return
        try:
            self._waiting.put_nowait(found)
        except asyncio.QueueFull:
            self._dropped += [
                {"labels": stream["stream"], "timestamp": stream["values"][0][0]} for stream in found
            ]

    async def send(self, websocket: WebSocket, first: Streams) -> None:
        """Send `first`, then what is offered, until an hour has passed or the reader is gone."""
        if first:
            await self._send_frame(websocket, first)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAIL_S):
                while True:
                    await self._send_frame(websocket, await self._waiting.get())
        await websocket.close(1000, "reached tail max duration limit")

    async def _send_frame(self, websocket: WebSocket, streams: Streams) -> None:
        dropped, self._dropped = self._dropped, []
        frame = orjson.dumps({"streams": streams, "dropped_entries": dropped or None})
        await websocket.send_text(frame.decode())


class Tails:
    """All readers; a push is offered to each."""

    def __init__(self) -> None:
        self._tails: set[Tail] = set()

    @contextlib.contextmanager
    def prepare(self, selector: LogSelector) -> Iterator[Tail]:
        """A reader that gets every push from `follow` to the end of the block."""
        tail = Tail(selector)
        try:
            yield tail
        finally:
            self._tails.discard(tail)

    def follow(self, tail: Tail) -> None:
        """Begin to hand pushes to this reader."""
        self._tails.add(tail)

    def offer(self, streams: NewStreams) -> None:
        """Hand a push to all readers."""
        for tail in self._tails:
            tail.offer(streams)


async def serve_tail(websocket: WebSocket, tail: Tail, first: Streams) -> None:
    """Send frames until the reader leaves, is gone, or has had its hour."""
    sending = asyncio.create_task(tail.send(websocket, first))
    leaving = asyncio.create_task(_wait_for_close(websocket))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _wait_for_close(websocket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.receive_text()
