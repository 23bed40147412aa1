"""What is sent to the Builder Service in parts, and what has to be known before its end."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

BeforeEnd = Callable[[], Awaitable[None]]
"""Awaited before a request's last part is sent: what it raises keeps the builder from accepting anything."""


async def nothing() -> None:
    """Nothing has to be known before a request ends."""


class HeldEnd(httpx.AsyncByteStream):
    """A body whose last part is sent when something else was done: without it the builder has no upload."""

    def __init__(self, parts: httpx.AsyncByteStream, before_end: BeforeEnd) -> None:
        self._parts = parts
        self._before_end = before_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        held = b""
        async for part in self._parts:
            if held:
                yield held
            held = part
        await self._before_end()
        yield held
