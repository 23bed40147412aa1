"""The mutations of builds that are in the contract and not served yet: each answers NOT_IMPLEMENTED."""

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

# ruff: noqa: ARG002  # none of these looks at its input


@strawberry.type
class LaterBuildMutations:
    """What moves to mutations.py once it is served."""

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


def _refuse(field: str) -> NoReturn:
    raise UnsupportedError(f"{field} is not available in this version.")
