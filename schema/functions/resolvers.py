"""Pages of a workspace's functions."""

from gateway.errors import InvalidInputError
from gateway.records.functions import FunctionRecord
from schema.context import Info
from schema.functions.loaders import FunctionPage, FunctionPageLoader, FunctionPageQuery
from schema.functions.types import Function, FunctionConnection
from schema.pagination import check_first, decode_cursor
from schema.selection import selects_any

FIGURE_FIELDS = ("invocations24h", "errors24h", "errorRate", "avgDuration", "invocationHistory")
MAX_NAME_CONTAINS_CHARACTERS = 100
"""No name is longer."""


async def resolve_functions(
    info: Info, *, workspace_id: str, first: int, after: str | None, name_contains: str | None
) -> FunctionConnection:
    """A page of a workspace's functions, by id; their figures come with it where they are selected."""
    if name_contains is not None and len(name_contains) > MAX_NAME_CONTAINS_CHARACTERS:
        message = f"nameContains must have at most {MAX_NAME_CONTAINS_CHARACTERS} characters."
        raise InvalidInputError(message, field="nameContains")
    kind = f"functions:{workspace_id}"
    query = FunctionPageQuery(
        workspace_id=workspace_id,
        first=check_first(first),
        after=decode_cursor(kind, after),
        name_contains=name_contains or None,
        with_figures=selects_any(info, FIGURE_FIELDS, ("nodes",), ("edges", "node")),
    )
    found = await info.context.loader(FunctionPageLoader).load(query)
    assert isinstance(found, FunctionPage)  # noqa: S101  # the loader answers every query

    def convert(record: FunctionRecord) -> Function:
        return Function.from_record(record, info.context, found.figures.get(record.id))

    connection = FunctionConnection.from_page(found.page, kind, convert)
    connection.workspace_id = workspace_id
    connection.name_contains = query.name_contains
    return connection
