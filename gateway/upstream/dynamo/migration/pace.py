"""How fast a migration goes: a rate for rows, patience with a table that throttles, and progress for who waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from gateway.errors import DynamoDBError

T = TypeVar("T")
Report = Callable[[str], None]

TRIES = 8
"""Of a request that DynamoDB throttles, besides the SDK's own: two minutes of waiting in all."""
MAX_WAIT_S = 30.0
REPORT_INTERVAL_S = 2.0
"""Often enough to see that it moves, and few lines in a log of an hour."""


class Pace:
    """Lets so many rows a second pass; None lets all of them."""

    def __init__(self, rows_per_s: float | None) -> None:
        self._rows_per_s = rows_per_s
        self._free_at = 0.0

    async def take(self, rows: int = 1) -> None:
        """Wait until it is the turn of so many rows."""
        if self._rows_per_s is None:
            return
        now = time.monotonic()
        turn = max(self._free_at, now)
        self._free_at = turn + rows / self._rows_per_s
        if turn > now:
            await asyncio.sleep(turn - now)


async def patiently(request: Callable[[], Awaitable[T]], report: Report) -> T:
    """Send a request again while DynamoDB throttles or is away; it has to be one that may be repeated."""
    for attempt in range(TRIES - 1):
        try:
            return await request()
        except DynamoDBError as error:
            if not error.retryable:
                raise
            wait_s = min(2.0**attempt, MAX_WAIT_S)
            report(f"waiting {wait_s:g} s: {error.message}")
            await asyncio.sleep(wait_s)
    return await request()


async def for_each(values: Iterable[T], work: Callable[[T], Awaitable[None]], *, concurrency: int) -> None:
    """Do the work for all values, so many at a time; the first failure ends it and is raised as it is."""
    left = iter(values)

    async def worker() -> None:
        for value in left:
            await work(value)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


class Progress:
    """Says from time to time how far one part is."""

    def __init__(self, report: Report, what: str, total: int, *, about: bool = False) -> None:
        self._report = report
        self._what = what
        self._total = total
        self._about = "about " if about else ""
        self._done = 0
        self._started = self._reported = time.monotonic()

    def advance(self, number: int = 1) -> None:
        """Note that so many more are done."""
        self._done += number
        if time.monotonic() - self._reported >= REPORT_INTERVAL_S:
            self._reported = time.monotonic()
            self._report(self._line())

    def end(self) -> None:
        """Say how it ended."""
        self._report(self._line())

    def _line(self) -> str:
        rate = self._done / max(time.monotonic() - self._started, 0.001)
        if not self._total:
            return f"{self._what}: {self._done:,}, {rate:,.0f}/s"
        percent = min(self._done / self._total, 1)
        return f"{self._what}: {self._done:,} of {self._about}{self._total:,} ({percent:.0%}), {rate:,.0f}/s"
