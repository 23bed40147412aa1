"""What is in the contract and not served yet: each field answers NOT_IMPLEMENTED. The one list of them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, NoReturn

import strawberry

from gateway.errors import UnsupportedError
from schema.execution_logs.types import ExecutionLog
from schema.logs.types import LogEntry

# ruff: noqa: ARG002  # none of these looks at its arguments


@strawberry.type
class LaterSubscriptions:
    """Subscriptions that move to their domains once they are served."""

    @strawberry.subscription(description="Lines as Loki receives them (tail), starting at `since` (default now).")
    async def function_logs(
        self,
        function_id: Annotated[strawberry.ID, strawberry.argument(description="The function's id.")],
        since: Annotated[datetime | None, strawberry.argument(description="From this time on.")] = None,
        contains: Annotated[
            str | None, strawberry.argument(description="Only lines that contain this text.")
        ] = None,
    ) -> AsyncGenerator[LogEntry, None]:
        """Follow a function's output."""
        _refuse("functionLogs")

    @strawberry.subscription(
        description="Invocations of the workspace, or of one of its functions, as they are recorded."
    )
    async def execution_logs(
        self,
        workspace_id: Annotated[strawberry.ID, strawberry.argument(description="The workspace's id.")],
        function_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only this function's.")
        ] = None,
    ) -> AsyncGenerator[ExecutionLog, None]:
        """Follow invocations."""
        _refuse("executionLogs")


def _refuse(field: str) -> NoReturn:
    raise UnsupportedError(f"{field} is not available in this version.")
