"""Lines of Loki as the API shows them."""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Self, cast

import strawberry

from gateway.errors import InvalidInputError
from gateway.records.logs import LogDirection, LogEntryRecord, LogQuery
from gateway.records.pages import Page
from schema.context import Info
from schema.logs.loaders import LogPageByQueryLoader
from schema.pagination import MAX_FIRST_LOGS, PageInfo, check_first, decode_cursor, encode_cursor

strawberry.enum(LogDirection, description="In which order lines are listed.")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_CONTAINS_CHARACTERS = 1000
"""More than anyone searches for; Loki compares it with every line."""


@strawberry.type(description="A label of the stream that a line came in.")
class LogLabel:
    """A Loki label."""

    name: str = strawberry.field(description="The label's name, such as pod.")
    value: str = strawberry.field(description="The label's value.")


@strawberry.type(description="A line that a function's pod wrote to its standard output or error.")
class LogEntry:
    """A line of a stream."""

    timestamp: datetime = strawberry.field(description="When it was written, to the microsecond.")
    timestamp_ns: str = strawberry.field(
        description="The same in nanoseconds since the epoch, as Loki gives them; a string for its 63 bits."
    )
    line: str = strawberry.field(description="The text, without its line break.")
    level: str | None = strawberry.field(
        description="The level that Loki detected, such as info or error; null where it found none."
    )
    labels: Sequence[LogLabel] = strawberry.field(description="The labels of the line's stream, by name.")

    @classmethod
    def from_record(cls, record: LogEntryRecord, labels: Sequence[LogLabel]) -> Self:
        """Make the line; `labels` are those of its stream, made once for all its lines."""
        return cls(
            timestamp=EPOCH + timedelta(microseconds=record.timestamp_ns // 1000),
            timestamp_ns=str(record.timestamp_ns),
            line=record.line,
            level=record.level,
            labels=labels,
        )


@strawberry.type(description="A line and its cursor.")
class LogEdge:
    """A line in a connection."""

    cursor: str = strawberry.field(description="Pass it as `after` to get what follows this line.")
    node: LogEntry = strawberry.field(description="The line.")


@strawberry.type(description="A page of a function's lines.")
class LogConnection:
    """A page; its types are named LogEdge and LogConnection by the contract, which generic ones could not be."""

    edges: list[LogEdge] = strawberry.field(description="The lines with their cursors.")
    nodes: list[LogEntry] = strawberry.field(description="The lines, for clients that need no cursor on each.")
    page_info: PageInfo = strawberry.field(description="Whether there is more, and how to get it.")

    @classmethod
    def from_page(cls, page: Page[LogEntryRecord], kind: str) -> Self:
        """Make the connection of a page; `kind` is the list that its cursors are bound to."""
        labels: dict[tuple[tuple[str, str], ...], tuple[LogLabel, ...]] = {}
        nodes = []
        for record in page.items:
            if record.labels not in labels:
                labels[record.labels] = tuple(LogLabel(name=name, value=value) for name, value in record.labels)
            nodes.append(LogEntry.from_record(record, labels[record.labels]))
        cursors = [encode_cursor(kind, position) for position in page.positions]
        return cls(
            edges=[LogEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=cursors[-1] if cursors else None,
            ),
        )


async def resolve_logs(
    info: Info,
    function_id: str,
    first: int,
    after: str | None,
    since: datetime | None,
    until: datetime | None,
    contains: str | None,
    direction: LogDirection,
) -> LogConnection:
    """Read a page of one function's lines; `function_id` has been validated.

    Errors: InvalidInputError that names the argument, LokiError, LokiConnectionError.
    """
    if since is not None and until is not None and since >= until:
        raise InvalidInputError("since must be before until.", field="since")
    contains = check_contains(contains)
    # Another filter or order is another list, where a cursor of this one has no place.
    kind = f"logs:{function_id}:{direction.value}:{zlib.crc32((contains or '').encode()):x}"
    query = LogQuery(
        function_id=function_id,
        first=check_first(first, maximum=MAX_FIRST_LOGS),
        after=decode_cursor(kind, after),
        since=since,
        until=until,
        contains=contains,
        direction=direction,
    )
    page = await info.context.loader(LogPageByQueryLoader).load(query)
    return LogConnection.from_page(cast("Page[LogEntryRecord]", page), kind)  # every query has one


def check_contains(contains: str | None) -> str | None:
    """A text to search for; empty is none."""
    if not contains:
        return None
    if len(contains) > MAX_CONTAINS_CHARACTERS:
        raise InvalidInputError(
            f"contains must have at most {MAX_CONTAINS_CHARACTERS} characters; it has {len(contains)}.",
            field="contains",
        )
    try:
        contains.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("contains has half of a surrogate pair in it.", field="contains") from error
    return contains
