"""Rows of the table by key: workspaces, functions and figures that are asked for at once come in one batch."""

from collections.abc import Mapping, Sequence

from gateway.records.functions import Figures
from gateway.upstream.dynamo.keys import Key, function_figures_key, workspace_figures_key
from gateway.upstream.dynamo.reader import Row
from schema.columns import function_columns
from schema.context import Context, Loader

NO_FIGURES = Figures()


class RowLoader(Loader[Key, Row]):
    """Rows by key."""

    async def load_batch(self, keys: tuple[Key, ...]) -> Mapping[Key, Row | Exception]:
        """One BatchGetItem for each 100 keys; functions with the columns that the operation needs."""
        return await self.resources.dynamo.rows.get_rows(keys, function_columns(self.context))


async def load_figures(context: Context, keys: Sequence[Key]) -> list[Figures]:
    """Figures by their rows' keys, in this order; the keys need not be a loader's, since all are there at once."""
    rows = await context.resources.dynamo.rows.get_rows(keys)
    found = [rows.get(key) for key in keys]
    return [row if isinstance(row, Figures) else NO_FIGURES for row in found]


async def load_function_figures(context: Context, workspace_id: str, function_id: str) -> Figures:
    """A function's rolling figures."""
    row = await context.loader(RowLoader).load(function_figures_key(workspace_id, function_id))
    return row if isinstance(row, Figures) else NO_FIGURES


async def load_workspace_figures(context: Context, workspace_id: str) -> Figures:
    """A workspace's rolling figures."""
    row = await context.loader(RowLoader).load(workspace_figures_key(workspace_id))
    return row if isinstance(row, Figures) else NO_FIGURES
