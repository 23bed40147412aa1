"""Rolling 24-hour figures: small rows of numbers named by absolute hour, counted up atomically.

`i`, `e` and `d` with the hour are its invocations, errors and summed duration in ms. They are not on the
function's row: an update there would cost write units for the whole row, its code included.
"""

import asyncio
from collections.abc import Container, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway.records.clock import Clock, hour_of
from gateway.records.functions import Figures
from gateway.upstream.dynamo.additions import Additions, Number
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Update, exists
from gateway.upstream.dynamo.keys import Key, function_figures_key, workspace_figures_key
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import Table

WINDOW_HOURS = 24
"""The current hour and the 23 before it."""
EXPIRED_HOURS = range(WINDOW_HOURS + 1, 73)
"""Removed now and then: an idle function's row may be three days behind; older hours are only ever ignored."""
MAX_REMEMBERED = 50_000
"""Rows of which this process knows in which hour it last removed the expired ones; about 10 MB."""
KINDS = "ied"
_WHOLE, _READABLE = frozenset({int}), frozenset({int, Decimal})


def window_attributes(now: datetime, *, durations: bool = True) -> tuple[str, ...]:
    """The attributes of the window that ends now; without durations a third less is sent and read."""
    window = _window(hour_of(now))
    return tuple(name for names in (window if durations else window[:-1]) for name in names)


@lru_cache(maxsize=4)
def _window(newest: int) -> tuple[tuple[str, ...], ...]:
    """The names of a window's invocations, errors and durations, each oldest first."""
    hours = range(newest - WINDOW_HOURS + 1, newest + 1)
    return tuple(tuple(f"{kind}{hour}" for hour in hours) for kind in KINDS)


def to_figures(item: Item | None, now: datetime) -> Figures:
    """Read a row's window; a missing row or hour means that nothing was invoked."""
    newest = hour_of(now)
    invocations, errors, durations = _window(newest)
    read = (item or {}).get
    return Figures(
        newest_hour=newest,
        invocations_by_hour=_counts([read(name, 0) for name in invocations]),
        errors_by_hour=_counts([read(name, 0) for name in errors]),
        duration_ms_by_hour=[float(value) for value in _numbers([read(name, 0) for name in durations])],
    )


def _counts(values: list[Any]) -> list[int]:
    return values if _WHOLE.issuperset(map(type, values)) else [int(value) for value in _numbers(values)]


def _numbers(values: list[Any]) -> list[int | Decimal]:
    """The numbers of a row; what is none counts nothing. A page has thousands, nearly all as they should be."""
    if _READABLE.issuperset(map(type, values)):
        return values
    return [value if isinstance(value, int | Decimal) else 0 for value in values]


class FiguresTable:
    """Reads and counts the figures."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._tidied: dict[Key, int] = {}
        self._additions = Additions(self._add_to_row)

    async def list_of_functions(self, workspace_id: str, *, first: int, after: str | None) -> dict[str, Figures]:
        """The figures of a page of functions, by id, by the same range; `after` is the page's position."""
        await self.settle({f"WS#{workspace_id}"})
        now = self._clock()
        page = await read_page(
            self._table,
            RowRange(partition=f"WS#{workspace_id}", low="FNSTATS#", high="FNSTATS#~"),
            first=first,
            after=None if after is None else f"FNSTATS#{after.partition('#')[2]}",
            convert=lambda item: (item["SK"].partition("#")[2], to_figures(item, now)),
            attributes=window_attributes(now),
        )
        return dict(page.items)

    async def count(
        self, workspace_id: str, function_id: str, *, at: datetime, is_error: bool, duration_ms: float
    ) -> bool:
        """Count one invocation for the function and its workspace; a deleted one is not brought back.

        Answers whether the function is still there.
        """
        hour = hour_of(at)
        numbers = {f"i{hour}": 1, f"e{hour}": int(is_error), f"d{hour}": duration_ms}
        counted, _ = await asyncio.gather(
            self._additions.add(function_figures_key(workspace_id, function_id), numbers),
            self._additions.add(workspace_figures_key(workspace_id), numbers),
        )
        return counted

    async def settle(self, partitions: Container[str]) -> None:
        """Wait for what this process is counting in these partitions, but a moment: before figures are read."""
        await self._additions.settle(partitions)

    async def _add_to_row(self, key: Key, numbers: Mapping[str, Number]) -> bool:
        newest = max(int(name[1:]) for name in numbers)
        try:
            await self._table.write(
                Update(key=key, add=numbers, remove=self._expired(key, newest), condition=exists(), once=True)
            )
        except ConditionFailedError:
            return False  # deleted while it was running
        return True

    def _expired(self, key: Key, hour: int) -> list[str]:
        """What to remove from a row with this update: something in the first one of an hour, else nothing."""
        if self._tidied.get(key) == hour:
            return []
        if len(self._tidied) >= MAX_REMEMBERED:
            self._tidied.clear()
        self._tidied[key] = hour
        return [f"{kind}{hour - back}" for back in EXPIRED_HOURS for kind in KINDS]
