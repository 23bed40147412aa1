"""Pages of rows in key order: each row exactly once, whatever 1 MB pages, filters and inserts do meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.records.pages import Page
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.expressions import all_of, between, equals
from gateway.upstream.dynamo.keys import INDEX, INDEX_PK, INDEX_SK
from gateway.upstream.dynamo.rows import read_row
from gateway.upstream.dynamo.table import Table

T = TypeVar("T")

FILTERED_LIMIT = 200
"""Rows read at once where only some are wanted."""


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


async def read_page(
    table: Table,
    rows: RowRange,
    *,
    first: int,
    after: str | None,
    convert: Callable[[Item], T | None],
    filters: bool = False,
    attributes: Sequence[str] = (),
) -> Page[T]:
    """The first rows behind the sort key `after` that `convert` makes something of.

    A position is a sort key, which is unique in its range. `filters` says that `convert` leaves out many.
    """
    low, high = rows.low, rows.high
    if after is not None:
        low, high = (max(low, after), high) if rows.forward else (low, min(high, after))
    sort = rows.sort_attribute
    condition = all_of(
        equals(INDEX_PK if rows.index else "PK", rows.partition),
        between(sort, low, high),
    )
    limit = first + 1 + (after is not None)
    items: list[T] = []
    positions: list[str] = []
    start_key = None
    while low <= high:
        page = await table.query(
            condition,
            index=INDEX if rows.index else None,
            forward=rows.forward,
            limit=max(limit, FILTERED_LIMIT) if filters else limit,
            start_key=start_key,
            attributes={"PK", "SK", sort, *attributes} if attributes else (),
            consistent=not rows.index,
        )
        for item in page.items:
            if item[sort] == after:
                continue
            record = read_row(item, convert)
            if record is not None:
                items.append(record)
                positions.append(item[sort])
        start_key = page.last_key
        if start_key is None or len(items) > first:
            break
    return Page(
        items=tuple(items[:first]),
        positions=tuple(positions[:first]),
        has_next=len(items) > first,
        has_previous=after is not None,
    )
