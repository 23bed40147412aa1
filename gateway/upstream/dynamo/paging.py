"""Pages of rows in key order: each row exactly once, whatever 1 MB pages, filters and inserts do meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.records.pages import ROWS_OF_ANY_SIZE, Page
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.expressions import all_of, between, equals
from gateway.upstream.dynamo.keys import INDEX, INDEX_PK, INDEX_SK
from gateway.upstream.dynamo.rows import read_row
from gateway.upstream.dynamo.table import QueryPage, Table

T = TypeVar("T")

FILTERED_LIMIT = 200
"""Rows of the first read where only some are wanted; each further read asks for twice as many."""
MAX_LIMIT = 100_000
"""Of a Query; it ends at 1 MB long before."""
MAX_READS = 64
"""Queries of one page: 64 MB, room for 3,000 functions with all the code their rows may hold.

What a filter matches less often than that is found over several pages: each costs a bounded amount, and its cursor
goes on where it stopped.
"""
MAX_LARGE_READS = 16
"""The same of rows that may be large, once there are `ROWS_OF_ANY_SIZE`: 1,000 rows of 16 KB are read whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRange:
    """Rows of one partition, of the table or its index, between two sort keys, both included."""

    partition: str
    low: str
    high: str
    index: bool = False
    forward: bool = True

    @property
    def sort_attribute(self) -> str:
        """The attribute that orders the rows."""
        return INDEX_SK if self.index else "SK"

    def after(self, position: str | None) -> "RowRange":
        """The range from a position on; the row of that position, if it is still there, is included."""
        low, high = self.low, self.high
        if position is not None:
            low, high = (max(low, position), high) if self.forward else (low, min(high, position))
        return RowRange(partition=self.partition, low=low, high=high, index=self.index, forward=self.forward)


async def read_page(
    table: Table,
    rows: RowRange,
    *,
    first: int,
    after: str | None,
    convert: Callable[[Item], T | None],
    filters: bool = False,
    large: bool = False,
    attributes: Sequence[str] = (),
) -> Page[T]:
    """The first rows behind the sort key `after` that `convert` makes something of.

    A position is a sort key, which is unique in its range. `filters` says that `convert` leaves out many, `large`
    that what it makes may fill the memory.
    """
    wanted = rows.after(after)
    limit = first + 1 + (after is not None)
    if filters:
        limit = max(limit, FILTERED_LIMIT)
    found: list[tuple[T, str]] = []
    start_key = None
    for read in range(MAX_READS if wanted.low <= wanted.high else 0):
        page = await _query(table, wanted, limit << read, start_key, attributes)
        for item in page.items:
            position = item[rows.sort_attribute]
            record = None if position == after else read_row(item, convert)
            if record is not None:
                found.append((record, position))
        start_key = page.last_key
        if start_key is None or len(found) > first:
            break
        if large and read + 1 >= MAX_LARGE_READS and len(found) >= ROWS_OF_ANY_SIZE:
            break
    taken = found[:first]
    stopped = start_key is not None and len(found) <= first
    return Page(
        items=tuple(record for record, _ in taken),
        positions=tuple(position for _, position in taken),
        has_next=stopped or len(found) > first,
        has_previous=after is not None,
        reached=start_key[rows.sort_attribute]["S"] if start_key is not None and stopped else None,
    )


async def _query(
    table: Table, rows: RowRange, limit: int, start_key: dict[str, Any] | None, attributes: Sequence[str]
) -> QueryPage:
    partition = equals(INDEX_PK if rows.index else "PK", rows.partition)
    return await table.query(
        all_of(partition, between(rows.sort_attribute, rows.low, rows.high)),
        index=INDEX if rows.index else None,
        forward=rows.forward,
        limit=min(limit, MAX_LIMIT),
        start_key=start_key,
        attributes={"PK", "SK", rows.sort_attribute, *attributes} if attributes else (),
        consistent=not rows.index,
    )
