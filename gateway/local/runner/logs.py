"""Pushes what functions print to Loki, in batches; an outage of Loki costs lines, never invocations.

The contract is Loki's push API: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator

import httpx

INTERVAL_S = 0.25
"""Seconds between batches: a line is at most half a second late."""

QUEUED_BYTES = 16 * 1024 * 1024
"""Bytes of lines that wait for Loki; beyond, the oldest go."""

BATCH_BYTES = 1024 * 1024
"""Bytes of lines in one push; Loki's default limit of a request is 4 MB, and JSON adds to them."""

RETRY_MAX_S = 5.0
"""Seconds between tries at most, so that lines appear soon after Loki is back."""

Line = tuple[tuple[tuple[str, str], ...], int, str]


class LokiPush:
    """A queue of lines and the loop that empties it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._queue: deque[Line] = deque()
        self._queued_bytes = 0
        self._last_ns = 0
        self._filled = asyncio.Event()

    def put(self, labels: dict[str, str], line: str) -> None:
        """Queue a line under the present time; never blocks.

        No two lines get the same time: Loki drops a repeated pair of time and line, and sorts by time only.
        """
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        self._queue.append((tuple(sorted(labels.items())), self._last_ns, line))
        self._queued_bytes += _size(line)
        while self._queued_bytes > QUEUED_BYTES:
            self._take()
        self._filled.set()

    async def run(self) -> None:
        """Push until cancelled; what Loki refuses (4xx) is dropped, what it can't take now is kept."""
        delay_s = INTERVAL_S
        while True:
            await self._filled.wait()
            await asyncio.sleep(delay_s)
            delay_s = INTERVAL_S if await self.flush() else min(delay_s * 2, RETRY_MAX_S)

    async def flush(self) -> bool:
        """Push all that is queued; False when Loki did not take it."""
        while self._queue:
            batch = self._take_batch()
            try:
                response = await self._client.post("/loki/api/v1/push", json=_payload(batch))
                taken = response.status_code < 500 and response.status_code != 429
            except httpx.HTTPError:
                taken = False
            except asyncio.CancelledError:
                self._put_back(batch)
                raise
            if not taken:
                self._put_back(batch)
                return False
        self._filled.clear()
        return True

    def _take(self) -> Line:
        line = self._queue.popleft()
        self._queued_bytes -= _size(line[2])
        return line

    def _take_batch(self) -> list[Line]:
        batch, size = [], 0
        while self._queue and size < BATCH_BYTES:
            batch.append(self._take())
            size += _size(batch[-1][2])
        return batch

    def _put_back(self, batch: list[Line]) -> None:
        self._queue.extendleft(reversed(batch))
        self._queued_bytes += sum(_size(line) for _, _, line in batch)


def _size(line: str) -> int:
    """About the bytes a line takes, its time and labels included."""
    return len(line) + 100


def _payload(batch: list[Line]) -> dict[str, list[dict[str, object]]]:
    streams: dict[tuple[tuple[str, str], ...], list[list[str]]] = {}
    for labels, ns, line in batch:
        streams.setdefault(labels, []).append([str(ns), line])
    return {"streams": [{"stream": dict(labels), "values": values} for labels, values in streams.items()]}


@contextlib.asynccontextmanager
async def pushing_to(loki_url: str) -> AsyncIterator[LokiPush]:
    """A running LokiPush; at the end, what is queued gets one more try."""
    timeout = httpx.Timeout(5.0, connect=1.0)
    async with httpx.AsyncClient(base_url=loki_url, timeout=timeout, trust_env=False) as client:
        push = LokiPush(client)
        running = asyncio.create_task(push.run())
        try:
            yield push
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(push.flush(), 1.0)
