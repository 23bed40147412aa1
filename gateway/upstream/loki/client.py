"""What the gateway asks Loki: pages of one function's lines. Their order and positions are in `lines`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from gateway.errors import InvalidInputError, LokiConnectionError, LokiError
from gateway.records.clock import Clock, system_clock
from gateway.records.logs import LogDirection, LogEntryRecord, LogQuery
from gateway.records.pages import Page
from gateway.upstream.loki.lines import PlacedEntry, Position, merge_streams, place_entries
from gateway.upstream.query_client import AnswerTooLargeError, NoAnswerError, QueryClient
from gateway.upstream.quoting import quote_go

MAX_ENTRIES = 5000
"""Loki's max_entries_limit_per_query: a larger limit is refused."""
MAX_RANGE = timedelta(days=30)
"""Loki refuses ranges over 30d1h; longer ones are read in parts. Also how far back a page looks by default."""
MAX_SPAN = timedelta(days=366)
"""A year is at most 13 ranges, read one after the other until the page is full."""
CLOCK_SKEW = timedelta(minutes=10)
"""Loki takes lines up to 10 minutes ahead of its clock: `until` defaults to then, so that none is missing."""
SLACK = 32
"""Lines asked for beyond the page: a traceback shares one time, and cutting it costs a second query."""
MAX_ERROR_CHARACTERS = 500
"""Loki repeats the query in its errors."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Range(NamedTuple):
    """Nanoseconds since the epoch: `start` is in it, `end` is not."""

    start: int
    end: int


class Loki:
    """Reads functions' lines; `client` comes from `open_query_client("loki", …)` and stays the caller's."""

    def __init__(self, client: QueryClient, *, clock: Clock = system_clock) -> None:
        self._client = client
        self._clock = clock

    async def query_lines(self, query: LogQuery) -> Page[LogEntryRecord]:
        """Read up to `first` lines (1 to 1,000); one call unless the page's end cuts through one nanosecond.

        Without `since` the 30 days before `until` are read. Positions hold for the same function, filter
        and direction. More than 5,000 matching lines in one nanosecond are beyond Loki's API: the rest
        is not found. Errors: LokiError, LokiConnectionError, and InvalidInputError for `after` and `since`.
        """
        after = Position.parse(query.after) if query.after is not None else None
        newest_first = query.direction is LogDirection.NEWEST_FIRST
        left = self._range_of(query)
        if after is not None and newest_first:
            left = left._replace(end=min(left.end, after.timestamp_ns + 1))
        elif after is not None:
            left = left._replace(start=max(left.start, after.timestamp_ns))
        limit = min(MAX_ENTRIES, query.first + SLACK + (after.place + 1 if after else 0))
        found: list[PlacedEntry] = []
        has_next = False
        while left.start < left.end and not has_next:
            part = _first_part(left, newest_first)
            entries, cut_at = _leave_out_cut(await self._query_range(query, part, limit), limit)
            found += _not_seen(entries, after)
            if cut_at is None:
                left = _rest_of(left, part, newest_first)
            elif len(found) < query.first:
                cut = Range(cut_at, cut_at + 1)
                found += _not_seen(await self._query_range(query, cut, MAX_ENTRIES), after)
                left = _rest_of(left, cut, newest_first)
            has_next = len(found) > query.first or (cut_at is not None and len(found) >= query.first)
        page = found[: query.first]
        return Page(
            items=tuple(placed.entry for placed in page),
            positions=tuple(placed.position for placed in page),
            has_next=has_next,
            has_previous=after is not None,
        )

    async def check(self) -> None:
        """Ask for the newest labels, which takes what queries take; raises LokiError when it fails."""
        start = nanoseconds(self._clock() - CLOCK_SKEW)
        await self._get("/loki/api/v1/labels", {"start": str(start)}, "labels")

    def _range_of(self, query: LogQuery) -> Range:
        newest = self._clock() + CLOCK_SKEW
        until = newest if query.until is None else max(EPOCH, min(query.until, newest))
        since = query.since if query.since is not None else until - MAX_RANGE
        if until - since > MAX_SPAN:
            raise InvalidInputError(
                f"since must be at most {MAX_SPAN.days} days before until, which is now unless it is given.",
                field="since",
            )
        return Range(max(0, nanoseconds(since)), max(0, nanoseconds(until)))

    async def _query_range(self, query: LogQuery, part: Range, limit: int) -> list[LogEntryRecord]:
        answer = await self._get(
            "/loki/api/v1/query_range",
            {
                "query": write_logql(query),
                "start": str(part.start),
                "end": str(part.end),
                "limit": str(limit),
                "direction": query.direction.value,
            },
            f"the lines of {query.function_id}",
        )
        try:
            return merge_streams(answer["data"]["result"], query.direction)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise LokiError(f"Loki's answer for the lines of {query.function_id} has no streams.") from error

    async def _get(self, path: str, params: Mapping[str, str], what: str) -> Any:
        try:
            answer = await self._client.get(path, params)
        except NoAnswerError as error:
            raise LokiConnectionError(f"Loki did not answer for {what}: {error}.") from error
        except AnswerTooLargeError as error:
            raise LokiError(f"Loki's answer for {what} has {error}; ask for fewer lines.") from error
        if not answer.is_success:
            text = answer.text[:MAX_ERROR_CHARACTERS]
            raise LokiError(
                f"Loki refused {what} with status {answer.status}: {text}", retryable=answer.is_transient
            )
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError as error:
            raise LokiError(f"Loki's answer for {what} is not JSON.") from error


def write_logql(query: LogQuery) -> str:
    """The LogQL of a function's lines, those that contain a text if one is given; case counts."""
    selector = f"{{function_id={quote_go(query.function_id)}}}"
    return f"{selector} |= {quote_go(query.contains)}" if query.contains else selector


def nanoseconds(time: datetime) -> int:
    """A time as Loki counts it: nanoseconds since the epoch."""
    return (time - EPOCH) // MICROSECOND * 1000


def _first_part(left: Range, newest_first: bool) -> Range:
    length = MAX_RANGE // MICROSECOND * 1000
    if newest_first:
        return Range(max(left.start, left.end - length), left.end)
    return Range(left.start, min(left.end, left.start + length))


def _rest_of(left: Range, done: Range, newest_first: bool) -> Range:
    return left._replace(end=done.start) if newest_first else left._replace(start=done.end)


def _leave_out_cut(entries: list[LogEntryRecord], limit: int) -> tuple[list[LogEntryRecord], int | None]:
    """Leave out the last nanosecond's lines where Loki's limit may have cut through them, and name it."""
    if len(entries) < limit:
        return entries, None
    cut_at = entries[-1].timestamp_ns
    kept = len(entries)
    while kept and entries[kept - 1].timestamp_ns == cut_at:
        kept -= 1
    return entries[:kept], cut_at


def _not_seen(entries: list[LogEntryRecord], after: Position | None) -> list[PlacedEntry]:
    placed = place_entries(entries)
    return after.drop_seen(placed) if after is not None else placed
