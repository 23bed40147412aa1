"""Workspaces as the API shows them."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.records.functions import Figures
from gateway.records.workspaces import WorkspaceRecord
from schema.builds.resolvers import resolve_workspace_builds
from schema.builds.types import BuildConnection
from schema.context import Context, Info
from schema.early import by_id
from schema.execution_logs.types import ExecutionLogConnection, ExecutionLogFilter, resolve_execution_logs
from schema.figures import RollingFigures
from schema.functions.resolvers import resolve_functions
from schema.functions.types import FunctionConnection
from schema.node import Node
from schema.pagination import Connection
from schema.rows import load_workspace_figures


@strawberry.type(description="A group of functions.")
class Workspace(Node, RollingFigures):
    """A workspace."""

    name: str = strawberry.field(description="Its name, 1 to 100 characters; names need not be unique.")
    description: str = strawberry.field(description="What it is for; may be empty.")
    created_at: datetime = strawberry.field(description="When it was created.")
    function_count: int = strawberry.field(description="How many functions it has.")

    async def load_figures(self, context: Context) -> Figures:
        """Read the row of the figures."""
        return await load_workspace_figures(context, self.id)

    @strawberry.field(description="Its functions, by id.", metadata=by_id())
    async def functions(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 50,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
        name_contains: Annotated[
            str | None, strawberry.argument(description="Only those whose name contains this text, in any case.")
        ] = None,
    ) -> FunctionConnection:
        """Read a page of functions."""
        return await resolve_functions(
            info, workspace_id=self.id, first=first, after=after, name_contains=name_contains
        )

    @strawberry.field(description="The invocations of all its functions, newest first.", metadata=by_id())
    async def execution_logs(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 1000.")] = 50,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
        filter: Annotated[
            ExecutionLogFilter | None, strawberry.argument(description="Which ones are wanted.")
        ] = None,
    ) -> ExecutionLogConnection:
        """Read a page of the workspace's logs."""
        return await resolve_execution_logs(info, first=first, after=after, wanted=filter, workspace_id=self.id)

    @strawberry.field(description="Its builds, newest first.", metadata=by_id())
    async def builds(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 50,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
    ) -> BuildConnection:
        """Read a page of builds."""
        return await resolve_workspace_builds(info, workspace_id=self.id, first=first, after=after)

    @classmethod
    def from_record(cls, record: WorkspaceRecord, figures: Figures | None = None) -> "Workspace":
        """Make the type of a record, with its figures where they were read with it."""
        return cls(
            id=strawberry.ID(record.id),
            name=record.name,
            description=record.description,
            created_at=record.created_at,
            function_count=record.function_count,
            figures=figures,
        )


@strawberry.type(description="A page of workspaces.")
class WorkspaceConnection(Connection[Workspace]):
    """A page of workspaces."""
