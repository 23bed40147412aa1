"""Following invocations live."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from gateway.errors import NotFoundError
from gateway.services.validation import check_function_id, check_workspace_id
from schema.context import Info
from schema.execution_logs.types import BODY_FIELDS, ExecutionLog
from schema.functions.loaders import FunctionByIdLoader
from schema.selection import selects_any
from schema.workspaces.loaders import WorkspaceByIdLoader


@strawberry.type
class ExecutionLogSubscriptions:
    """The subscriptions of execution logs."""

    @strawberry.subscription(
        description="Invocations of the workspace, or of one of its functions, as they are recorded, on whatever "
        "replica, each once. Does not complete by itself."
    )
    async def execution_logs(
        self,
        info: Info,
        workspace_id: Annotated[strawberry.ID, strawberry.argument(description="The workspace's id.")],
        function_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this function's.")
        ] = None,
    ) -> AsyncGenerator[ExecutionLog, None]:
        """Follow a workspace."""
        check_workspace_id(workspace_id)
        if await info.context.loader(WorkspaceByIdLoader).load(workspace_id) is None:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="workspaceId")
        if function_id is not None:
            function = await info.context.loader(FunctionByIdLoader).load(check_function_id(function_id))
            if function is None or function.workspace_id != workspace_id:
                message = f"There is no function {function_id} in {workspace_id}."
                raise NotFoundError(message, field="functionId")
        bodies = selects_any(info, BODY_FIELDS, ())
        with info.context.resources.execution_feed.watch(workspace_id, function_id, bodies=bodies) as watcher:
            async for record in watcher:
                info.context.clear_loaders()
                yield ExecutionLog.from_record(record)
