"""Finding objects by their ids alone."""

import asyncio
from typing import Annotated

import strawberry

from gateway.errors import InvalidInputError
from gateway.services.validation import (
    BUILD_ID,
    FUNCTION_ID,
    MAX_NODE_IDS,
    WORKSPACE_ID,
)
from schema.builds.loaders import BuildByIdLoader
from schema.builds.types import Build
from schema.context import Info
from schema.functions.queries import load_function
from schema.node import Node
from schema.workspaces.queries import load_workspace


async def load_node(info: Info, id_: str) -> Node | None:
    """The object with this id, of whatever type; what can be no id is found nowhere."""
    if WORKSPACE_ID.fullmatch(id_):
        return await load_workspace(info, id_)
    if FUNCTION_ID.fullmatch(id_):
        return await load_function(info, id_)
    if BUILD_ID.fullmatch(id_):
        record = await info.context.loader(BuildByIdLoader).load(id_)
        return None if record is None else Build.from_record(record)
    return None


@strawberry.type
class NodeQueries:
    """The root fields of nodes."""

    @strawberry.field(description="Any object by its id: ws-…, fn-…, or a build's id. Null where there is none.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The object's id.")]
    ) -> Node | None:
        """Load one object."""
        return await load_node(info, id)

    @strawberry.field(
        description="Objects by their ids, at most 100, in the order given; null where there is none."
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="The objects' ids.")],
    ) -> list[Node | None]:
        """Load them all at once."""
        if len(ids) > MAX_NODE_IDS:
            raise InvalidInputError(f"ids must have at most {MAX_NODE_IDS} ids; it has {len(ids)}.", field="ids")
        return list(await asyncio.gather(*(load_node(info, id_) for id_ in ids)))
