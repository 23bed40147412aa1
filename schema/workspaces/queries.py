"""Reading workspaces."""

from typing import Annotated

import strawberry

from gateway.errors import NotFoundError
from gateway.records.functions import Figures
from gateway.records.workspaces import WorkspaceRecord
from gateway.services.validation import WORKSPACE_ID, check_workspace_id
from gateway.upstream.dynamo.keys import workspace_figures_key, workspace_key
from schema.context import Info
from schema.early import names_object
from schema.pagination import check_first, decode_cursor
from schema.rows import RowLoader, load_figures
from schema.selection import selects_any
from schema.workspaces.types import Workspace, WorkspaceConnection

FIGURE_FIELDS = ("invocations24h", "errors24h", "errorRate")


async def load_workspace(info: Info, workspace_id: str) -> Workspace | None:
    """A workspace with, where they are selected, its figures from the same batch."""
    keys = [workspace_key(workspace_id)]
    if selects_any(info, FIGURE_FIELDS, ()):
        keys.append(workspace_figures_key(workspace_id))
    record, *figures = await info.context.loader(RowLoader).load_many(keys)
    if not isinstance(record, WorkspaceRecord) or record.deleting:
        return None
    return Workspace.from_record(record, next((row for row in figures if isinstance(row, Figures)), None))


@strawberry.type
class WorkspaceQueries:
    """The root fields of workspaces."""

    @strawberry.field(description="All workspaces, newest first.")
    async def workspaces(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 50,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
    ) -> WorkspaceConnection:
        """Read a page of the index."""
        page = await info.context.resources.dynamo.workspaces.list_page(
            first=check_first(first), after=decode_cursor("workspaces", after)
        )
        if not selects_any(info, FIGURE_FIELDS, ("nodes",), ("edges", "node")):
            return WorkspaceConnection.from_page(page, "workspaces", Workspace.from_record)
        figures = await load_figures(info.context, [workspace_figures_key(record.id) for record in page.items])
        found = {record.id: read for record, read in zip(page.items, figures, strict=True)}
        return WorkspaceConnection.from_page(
            page, "workspaces", lambda record: Workspace.from_record(record, found[record.id])
        )

    @strawberry.field(
        description="A workspace; null with a NOT_FOUND error where there is none. "
        "What was just created is found.",
        metadata=names_object(lambda _, id_: WORKSPACE_ID.fullmatch(id_) is not None),
    )
    async def workspace(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Such as ws-1a2b3c4d.")]
    ) -> Workspace | None:
        """Load the workspace."""
        workspace = await load_workspace(info, check_workspace_id(id, field="id"))
        if workspace is None:
            raise NotFoundError(f"There is no workspace {id}.", field="id")
        return workspace
