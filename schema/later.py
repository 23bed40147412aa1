"""What is in the contract and not served yet: each field answers NOT_IMPLEMENTED. The one list of them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, NoReturn

import strawberry

from gateway.errors import UnsupportedError
from schema.builds.inputs import (
    CancelBuildInput,
    RollbackFunctionInput,
    ScaffoldSpinAppInput,
    StartPushInput,
)
from schema.builds.payloads import CancelBuildPayload, ScaffoldSpinAppPayload, StartBuildPayload
from schema.execution_logs.types import ExecutionLog
from schema.logs.types import LogEntry

# ruff: noqa: ARG002  # none of these looks at its arguments


@strawberry.type
class LaterMutations:
    """Mutations that move to their domains once they are served."""

    @strawberry.mutation(
        description="Push the image of a source that was built before. Answers once the builder has accepted it; "
        "what it refuses is BUILDER_ERROR and a FAILED build."
    )
    async def start_push(
        self, input: Annotated[StartPushInput, strawberry.argument(description="What to push, and where to.")]
    ) -> StartBuildPayload:
        """Start a push."""
        _refuse("startPush")

    @strawberry.mutation(
        description="End a build for the gateway: it is not followed any more and never deploys. The builder may "
        "finish its own work. A finished build is CONFLICT."
    )
    async def cancel_build(
        self, input: Annotated[CancelBuildInput, strawberry.argument(description="Which build.")]
    ) -> CancelBuildPayload:
        """Cancel a build."""
        _refuse("cancelBuild")

    @strawberry.mutation(
        description="Have a SpinApp manifest made of an image; that it can't be is an answer too."
    )
    async def scaffold_spin_app(
        self, input: Annotated[ScaffoldSpinAppInput, strawberry.argument(description="Of what.")]
    ) -> ScaffoldSpinAppPayload:
        """Make a manifest."""
        _refuse("scaffoldSpinApp")

    @strawberry.mutation(
        description="Deploy an earlier deployment's image again, as a build of kind ROLLBACK that starts at "
        "DEPLOYING."
    )
    async def rollback_function(
        self,
        input: Annotated[RollbackFunctionInput, strawberry.argument(description="What to roll back to.")],
    ) -> StartBuildPayload:
        """Roll a function back."""
        _refuse("rollbackFunction")


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
