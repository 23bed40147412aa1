"""Rows of different kinds by key in one BatchGetItem, each as its record."""

from collections.abc import Iterable

from gateway.records.clock import Clock
from gateway.records.functions import Figures, FunctionRecord
from gateway.records.workspaces import WorkspaceRecord
from gateway.upstream.dynamo import function_rows, workspaces
from gateway.upstream.dynamo.figures import FiguresTable, to_figures, window_attributes
from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.rows import read_row
from gateway.upstream.dynamo.table import Table

Row = WorkspaceRecord | FunctionRecord | Figures
_OF_WORKSPACE = frozenset({"METADATA", "WSSTATS"})


class RowReader:
    """Reads workspaces, functions and figures by key."""

    def __init__(self, table: Table, figures: FiguresTable, clock: Clock) -> None:
        self._table = table
        self._figures = figures
        self._clock = clock

    async def get_rows(self, keys: Iterable[Key], columns: frozenset[str] | None = None) -> dict[Key, Row]:
        """The rows that exist, functions with these columns or all.

        A figures row that does not exist is one in which nothing was counted. Those of workspaces may come without
        durations, which nothing shows.
        """
        wanted = list(keys)
        now = self._clock()
        kinds = {_kind(key.sk) for key in wanted}
        attributes: set[str] = set()
        if Figures in kinds:
            await self._figures.settle({key.pk for key in wanted})
            attributes.update(window_attributes(now, durations=any(key.sk not in _OF_WORKSPACE for key in wanted)))
        if WorkspaceRecord in kinds:
            attributes.update(workspaces.ATTRIBUTES)
        if FunctionRecord in kinds:
            attributes.update(function_rows.attributes_of(columns))
        items = await self._table.batch_get(wanted, attributes=attributes)
        found: dict[Key, Row] = {}
        for key in wanted:
            item = items.get(key)
            row: Row | None
            kind = _kind(key.sk)
            if kind is Figures:
                row = to_figures(item, now)
            elif item is None:
                continue
            elif kind is WorkspaceRecord:
                row = read_row(item, workspaces.to_workspace)
            else:
                row = read_row(item, lambda item: function_rows.to_function(item, columns))
            if row is not None:
                found[key] = row
        return found


def _kind(sk: str) -> type[Row]:
    if sk == "WSSTATS" or sk.startswith("FNSTATS#"):
        return Figures
    return WorkspaceRecord if sk == "METADATA" else FunctionRecord
