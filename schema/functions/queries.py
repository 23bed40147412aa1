"""Reading a function by its id."""

from typing import Annotated

import strawberry

from gateway.errors import NotFoundError
from gateway.records.functions import Figures, FunctionRecord
from gateway.services.validation import check_function_id
from gateway.upstream.dynamo.keys import function_figures_key, function_key
from schema.context import Info
from schema.early import names_object
from schema.functions.loaders import WorkspaceOfFunctionLoader
from schema.functions.resolvers import FIGURE_FIELDS
from schema.functions.types import Function
from schema.rows import RowLoader
from schema.selection import selects_any


async def load_function(info: Info, function_id: str) -> Function | None:
    """A function with, where they are selected, its figures from the same batch."""
    workspace_id = await info.context.loader(WorkspaceOfFunctionLoader).load(function_id)
    if workspace_id is None:
        return None
    keys = [function_key(workspace_id, function_id)]
    if selects_any(info, FIGURE_FIELDS, ()):
        keys.append(function_figures_key(workspace_id, function_id))
    record, *figures = await info.context.loader(RowLoader).load_many(keys)
    if not isinstance(record, FunctionRecord):
        return None
    read = next((row for row in figures if isinstance(row, Figures)), None)
    return Function.from_record(record, info.context, read)


@strawberry.type
class FunctionQueries:
    """The root fields of functions."""

    @strawberry.field(
        description="A function; null with a NOT_FOUND error where there is none.",
        # One that is new to the process may not exist: Loki and Prometheus are not asked about it in vain.
        metadata=names_object(lambda context, id_: context.resources.dynamo.functions.is_known(id_)),
    )
    async def function(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Such as fn-1a2b3c4d.")]
    ) -> Function | None:
        """Load the function."""
        function = await load_function(info, check_function_id(id, field="id"))
        if function is None:
            raise NotFoundError(f"There is no function {id}.", field="id")
        return function
