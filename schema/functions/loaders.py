"""What batches the reading of functions, their pages and their sources."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.records.functions import Figures, FunctionRecord
from gateway.records.pages import Page
from gateway.upstream.dynamo.keys import function_figures_key, function_key
from schema.columns import function_columns
from schema.context import Loader, load_each
from schema.rows import RowLoader


class WorkspaceOfFunctionLoader(Loader[str, str]):
    """The workspace's id by the function's."""

    async def load_batch(self, keys: tuple[str, ...]) -> Mapping[str, str | Exception]:
        """One BatchGetItem for the ids that are new to this process."""
        return await self.resources.dynamo.functions.workspaces_of(keys)


class FunctionByIdLoader(Loader[str, FunctionRecord]):
    """Functions by id."""

    async def load_batch(self, keys: tuple[str, ...]) -> Mapping[str, FunctionRecord | Exception]:
        """Through the pointers' and the rows' loaders, so that other rows join the batch."""
        workspaces = await self.context.loader(WorkspaceOfFunctionLoader).load_many(keys)
        row_keys = [
            function_key(workspace_id, id_)
            for id_, workspace_id in zip(keys, workspaces, strict=True)
            if workspace_id is not None
        ]
        rows = await self.context.loader(RowLoader).load_many(row_keys)
        return {row.id: row for row in rows if isinstance(row, FunctionRecord)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPageQuery:
    """A page of a workspace's functions."""

    workspace_id: str
    first: int
    after: str | None
    name_contains: str | None
    with_figures: bool

    def accepts(self, function: FunctionRecord) -> bool:
        """Whether the function's name contains what is sought, whatever the case."""
        return self.name_contains is None or self.name_contains.casefold() in function.name.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPage:
    """A page and, where they were asked for, its functions' figures."""

    page: Page[FunctionRecord]
    figures: Mapping[str, Figures]


class FunctionPageLoader(Loader[FunctionPageQuery, FunctionPage]):
    """Pages of functions; what a page has read need not be read again by id."""

    async def load_batch(
        self, keys: tuple[FunctionPageQuery, ...]
    ) -> Mapping[FunctionPageQuery, FunctionPage | Exception]:
        """All pages at once."""
        return await load_each(keys, self._load_page)

    async def _load_page(self, query: FunctionPageQuery) -> FunctionPage:
        columns = function_columns(self.context)
        functions = self.resources.dynamo.functions.list_page(
            query.workspace_id,
            first=query.first,
            after=query.after,
            columns=columns if columns is None or query.name_contains is None else columns | {"name"},
            accept=None if query.name_contains is None else query.accepts,
        )
        # By the same range as the functions; a filtered page is spread too thin for that.
        by_range = query.with_figures and query.name_contains is None
        page, figures = await asyncio.gather(functions, self._figures_by_range(query) if by_range else _none())
        if query.with_figures:
            missing = [function.id for function in page.items if function.id not in figures]
            figures |= await self._figures_by_key(query.workspace_id, missing)
        rows = self.context.loader(RowLoader)
        for function in page.items:
            rows.prime(function_key(function.workspace_id, function.id), function)
        return FunctionPage(page=page, figures=figures)

    async def _figures_by_range(self, query: FunctionPageQuery) -> dict[str, Figures]:
        return await self.resources.dynamo.figures.list_of_functions(
            query.workspace_id, first=query.first, after=query.after
        )

    async def _figures_by_key(self, workspace_id: str, function_ids: list[str]) -> dict[str, Figures]:
        if not function_ids:
            return {}
        keys = {function_figures_key(workspace_id, id_): id_ for id_ in function_ids}
        rows = await self.context.loader(RowLoader).load_many(keys)
        return {keys[key]: row for key, row in zip(keys, rows, strict=True) if isinstance(row, Figures)}


class FunctionCountLoader(Loader[tuple[str, str], int]):
    """How many functions of a workspace have a name that contains a text."""

    async def load_batch(self, keys: tuple[tuple[str, str], ...]) -> Mapping[tuple[str, str], int | Exception]:
        """Reads all names of each workspace, once."""
        workspace_ids = {workspace_id for workspace_id, _ in keys}
        names = await load_each(workspace_ids, self.resources.dynamo.functions.list_names)
        return {key: _count_matches(names[key[0]], key[1]) for key in keys}


class SourceLoader(Loader[tuple[str, str], bytes]):
    """Functions' sources, by workspace and function id."""

    async def load_batch(self, keys: tuple[tuple[str, str], ...]) -> Mapping[tuple[str, str], bytes | Exception]:
        """One GetObject each."""

        async def read(key: tuple[str, str]) -> bytes | None:
            return await self.resources.sources.read(*key)

        return {key: source for key, source in (await load_each(keys, read)).items() if source is not None}


def _count_matches(names: list[str] | Exception, text: str) -> int | Exception:
    if isinstance(names, Exception):
        return names
    return sum(text.casefold() in name.casefold() for name in names)


async def _none() -> dict[str, Figures]:
    return {}
