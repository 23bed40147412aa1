"""Lines of a function as Loki receives them: its tail, connected again where it ends, without a line twice."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode

from gateway.errors import LokiConnectionError, LokiError, OperationTimeoutError
from gateway.records.clock import Clock, system_clock
from gateway.records.logs import LogDirection, LogEntryRecord, LogQuery
from gateway.telemetry import record_call
from gateway.upstream.http import CONNECT_TIMEOUT_S
from gateway.upstream.loki.client import MAX_ERROR_CHARACTERS, MAX_RANGE, nanoseconds, write_logql
from gateway.upstream.loki.lines import merge_streams

PATH = "/loki/api/v1/tail"
FIRST_LINES = 1000
"""Of those before the tail begins, the newest; Loki's default is 100."""
MAX_FRAME_BYTES = 32 * 1024 * 1024
"""Loki puts up to 100 lines into one frame, of 256 KB each at the most."""
MAX_FRAMES = 2
"""Read ahead of who follows; the rest waits in Loki, which says what it had to leave out."""
OVERLAP_NS = 10 * 10**9
"""Read again by a new connection: lines of several pods come some seconds out of order."""
MAX_REMEMBERED = 2 * FIRST_LINES
"""Lines that are recognised when a tail was connected again: twice what comes before it begins."""
MAX_FAILURES = 5
"""To connect, one after the other, before the subscription is told so; about 15 s."""
RETRY_S = 1.0
"""Before the next attempt to connect, doubled for each one more."""
LASTING_S = 10.0
"""A tail without lines that ends earlier has failed: Loki accepts connections before it says what is wrong."""

Failure = ConnectionClosed | InvalidHandshake | OSError


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

        LokiError where Loki refuses, LokiConnectionError where it does not answer any more, OperationTimeoutError
        where the caller is so slow that Loki left lines out.
        """
        query = write_logql(LogQuery(function_id=function_id, first=FIRST_LINES, contains=contains))
        seen = _Seen(nanoseconds(since if since is not None else self._clock()))
        failures = 0
        while True:
            began = time.monotonic()
            lasted = False
            reason: Failure | None = None
            try:
                async with self._connect(query, seen.resume_ns) as socket:
                    record_call("loki", f"GET {PATH}")
                    async for frame in socket:
                        lasted = True
                        for entry in _read_frame(frame, function_id):
                            if seen.add(entry):
                                yield entry
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                reason = error
            failure = _failure(reason, function_id)
            failures = 0 if lasted or time.monotonic() - began >= LASTING_S else failures + 1
            if failures >= MAX_FAILURES or not failure.retryable:
                raise failure from reason
            await asyncio.sleep(self._retry_s * 2 ** max(failures - 1, 0))

    def _connect(self, query: str, start_ns: int) -> connect:
        now = self._clock()
        start_ns = min(max(start_ns, nanoseconds(now - MAX_RANGE)), nanoseconds(now))  # Loki refuses other times
        parameters = {"query": query, "start": start_ns, "limit": FIRST_LINES}
        return connect(
            f"{self._url}?{urlencode(parameters)}",
            open_timeout=CONNECT_TIMEOUT_S,
            max_size=MAX_FRAME_BYTES,
            max_queue=MAX_FRAMES,
            proxy=None,
        )


class _Seen:
    """What came since `resume_ns`, from where a new connection reads: of each line its hash, of 8 bytes."""

    def __init__(self, start_ns: int) -> None:
        self.resume_ns = start_ns
        self._hashes: set[int] = set()
        self._order: deque[tuple[int, int]] = deque()

    def add(self, entry: LogEntryRecord) -> bool:
        """Note a line; whether it is new. Its labels don't count: what was stored has more than what is live."""
        found = hash((entry.timestamp_ns, entry.line))
        if found in self._hashes:
            return False
        self._hashes.add(found)
        self._order.append((entry.timestamp_ns, found))
        self.resume_ns = max(self.resume_ns, entry.timestamp_ns - OVERLAP_NS)
        while self._order and (len(self._order) > MAX_REMEMBERED or self._order[0][0] < self.resume_ns):
            self._hashes.discard(self._order.popleft()[1])
        return True


def _read_frame(frame: str | bytes, function_id: str) -> list[LogEntryRecord]:
    try:
        content = orjson.loads(frame)
        entries = merge_streams(content.get("streams") or (), LogDirection.OLDEST_FIRST)
        dropped = content.get("dropped_entries")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise LokiError(f"Loki's tail of {function_id} sent what is no stream.") from error
    if dropped:
        raise OperationTimeoutError(f"This subscription fell behind the lines of {function_id}; subscribe again.")
    return entries


def _failure(reason: Failure | None, function_id: str) -> LokiError:
    """Say why a tail ended; the error is retryable where another connection may be a better one."""
    match reason:
        case InvalidStatus(response=response):
            text = response.body.decode(errors="replace").strip()[:MAX_ERROR_CHARACTERS]
            status = response.status_code
            passes = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            message = f"Loki refused to follow {function_id} with status {status}: {text}"
            return LokiError(message, retryable=passes)
        case ConnectionClosed(sent=sent) if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
            size_mb = MAX_FRAME_BYTES // 1024**2
            return LokiError(f"Loki sent more than {size_mb} MB of lines of {function_id} at once.")
        case ConnectionClosed(rcvd=rcvd) if rcvd is not None:
            return LokiError(f"Loki ended the lines of {function_id}: {rcvd.reason}", retryable=True)
        case None:
            return LokiError(f"Loki ended the lines of {function_id}.", retryable=True)
    return LokiConnectionError(f"Loki did not answer for the lines of {function_id}: {reason}")
