"""Rows of different kinds by key in one BatchGetItem, each as its record."""

from collections.abc import Iterable

from gateway.records.clock import Clock
from gateway.records.functions import Figures, FunctionRecord
from gateway.records.workspaces import WorkspaceRecord
from gateway.upstream.dynamo import function_rows, workspaces
from gateway.upstream.dynamo.figures import to_figures, window_attributes
from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.rows import read_row
from gateway.upstream.dynamo.table import Table

Row = WorkspaceRecord | FunctionRecord | Figures


class RowReader:
    """Reads workspaces, functions and figures by key."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def get_rows(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows that exist; a figures row that does not is one in which nothing was counted."""
        wanted = list(keys)
        now = self._clock()
        columns = {_attributes(key.sk) or window_attributes(now) for key in wanted}
        attributes = {name for names in columns for name in names}
        items = await self._table.batch_get(wanted, attributes=attributes)
        found: dict[Key, Row] = {}
        for key in wanted:
            item = items.get(key)
            row: Row | None
            if _is_figures(key.sk):
                row = to_figures(item, now)
            elif item is None:
                continue
            elif key.sk == "METADATA":
                row = read_row(item, workspaces.to_workspace)
            else:
                row = read_row(item, function_rows.to_function)
            if row is not None:
                found[key] = row
        return found


def _is_figures(sk: str) -> bool:
    return sk == "WSSTATS" or sk.startswith("FNSTATS#")


def _attributes(sk: str) -> tuple[str, ...]:
    if _is_figures(sk):
        return ()
    return workspaces.ATTRIBUTES if sk == "METADATA" else function_rows.ATTRIBUTES
