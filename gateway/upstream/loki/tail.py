"""Lines of a function as Loki receives them: its tail, connected again where it ends, without a line twice."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from datetime import datetime
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gateway.errors import LokiConnectionError, LokiError
from gateway.records.clock import Clock, system_clock
from gateway.records.logs import LogDirection, LogEntryRecord, LogQuery
from gateway.telemetry import record_call
from gateway.upstream.http import CONNECT_TIMEOUT_S
from gateway.upstream.loki.client import MAX_ERROR_CHARACTERS, nanoseconds, write_logql
from gateway.upstream.loki.lines import merge_streams

PATH = "/loki/api/v1/tail"
FIRST_LINES = 1000
"""Of those before the tail begins; Loki's default is 100."""
MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Loki takes lines of up to 256 KB, and puts those that came together into one frame."""
MAX_REMEMBERED = 5000
"""Lines that are recognised when a tail was connected again, which starts at the newest one's time."""
MAX_FAILURES = 5
"""To connect, one after the other, before the subscription is told so; about 15 s."""
RETRY_S = 1.0
"""Before the next attempt to connect, doubled for each one more."""


class LokiTail:
    """Follows functions' lines; `base_url` is Loki's."""

    def __init__(self, base_url: str, *, clock: Clock = system_clock, retry_s: float = RETRY_S) -> None:
        self._url = base_url.replace("http", "ws", 1) + PATH
        self._clock = clock
        self._retry_s = retry_s

    async def follow(
        self, function_id: str, *, since: datetime | None, contains: str | None
    ) -> AsyncGenerator[LogEntryRecord, None]:
        """Lines from `since` (default now) on, as they come, until the caller stops.

        LokiError where Loki refuses, LokiConnectionError where it does not answer any more.
        """
        start_ns = nanoseconds(since if since is not None else self._clock())
        query = write_logql(LogQuery(function_id=function_id, first=FIRST_LINES, contains=contains))
        seen: OrderedDict[tuple[int, str, tuple[tuple[str, str], ...]], None] = OrderedDict()
        failures = 0
        while True:
            parameters = {"query": query, "start": start_ns, "limit": FIRST_LINES}
            try:
                async with connect(
                    f"{self._url}?{urlencode(parameters)}",
                    open_timeout=CONNECT_TIMEOUT_S,
                    max_size=MAX_FRAME_BYTES,
                    proxy=None,
                ) as socket:
                    record_call("loki", f"GET {PATH}")
                    failures = 0
                    async for frame in socket:
                        for entry in _read_frame(frame, function_id):
                            key = (entry.timestamp_ns, entry.line, entry.labels)
                            if key in seen:
                                continue  # Loki keeps a line of one stream and time once
                            seen[key] = None
                            if len(seen) > MAX_REMEMBERED:
                                seen.popitem(last=False)
                            start_ns = max(start_ns, entry.timestamp_ns)
                            yield entry
            except InvalidStatus as error:
                text = error.response.body.decode(errors="replace").strip()[:MAX_ERROR_CHARACTERS]
                raise LokiError(f"Loki refused to follow {function_id}: {text}") from error
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError) as error:
                failures += 1
                if failures >= MAX_FAILURES:
                    message = f"Loki did not answer for the lines of {function_id}: {error}"
                    raise LokiConnectionError(message) from error
            await asyncio.sleep(self._retry_s * 2 ** max(failures - 1, 0))


def _read_frame(frame: str | bytes, function_id: str) -> list[LogEntryRecord]:
    try:
        return merge_streams(orjson.loads(frame).get("streams") or (), LogDirection.OLDEST_FIRST)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LokiError(f"Loki's tail of {function_id} sent what is no stream.") from error
