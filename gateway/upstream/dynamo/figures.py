"""Rolling 24-hour figures: small rows of numbers named by absolute hour, counted up atomically.

`i`, `e` and `d` with the hour are its invocations, errors and summed duration in ms. They are not on the
function's row: an update there would cost write units for the whole row, its code included.
"""

import asyncio
from datetime import datetime

from gateway.records.clock import Clock, hour_of
from gateway.records.functions import Figures, HourFigures
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


def window_attributes(now: datetime) -> list[str]:
    """The attributes of the window that ends now."""
    hour = hour_of(now)
    return [f"{kind}{hour - back}" for back in range(WINDOW_HOURS) for kind in KINDS]


def to_figures(item: Item | None, now: datetime) -> Figures:
    """Read a row's window; a missing row or hour means that nothing was invoked."""
    row = item or {}
    newest = hour_of(now)
    return Figures(
        hours=tuple(
            HourFigures(
                hour=hour,
                invocations=int(row.get(f"i{hour}", 0)),
                errors=int(row.get(f"e{hour}", 0)),
                duration_ms=float(row.get(f"d{hour}", 0)),
            )
            for hour in range(newest - WINDOW_HOURS + 1, newest + 1)
        )
    )


class FiguresTable:
    """Reads and counts the figures."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._tidied: dict[Key, int] = {}

    async def list_of_functions(self, workspace_id: str, *, first: int, after: str | None) -> dict[str, Figures]:
        """The figures of a page of functions, by id, by the same range; `after` is the page's position."""
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
    ) -> None:
        """Count one invocation for the function and its workspace; a deleted one is not brought back."""
        hour = hour_of(at)
        additions = {f"i{hour}": 1, f"e{hour}": int(is_error), f"d{hour}": round(duration_ms, 3)}

        async def add(key: Key) -> None:
            try:
                await self._table.write(
                    Update(key=key, add=additions, remove=self._expired(key, hour), condition=exists())
                )
            except ConditionFailedError:
                return  # deleted while it was running

        await asyncio.gather(
            add(function_figures_key(workspace_id, function_id)), add(workspace_figures_key(workspace_id))
        )

    def _expired(self, key: Key, hour: int) -> list[str]:
        """What to remove from a row with this update: something in the first one of an hour, else nothing."""
        if self._tidied.get(key) == hour:
            return []
        if len(self._tidied) >= MAX_REMEMBERED:
            self._tidied.clear()
        self._tidied[key] = hour
        return [f"{kind}{hour - back}" for back in EXPIRED_HOURS for kind in KINDS]
