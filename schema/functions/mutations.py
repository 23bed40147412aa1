"""Creating, changing, deleting and invoking functions."""

from typing import Annotated

import strawberry

from gateway.records.json_text import json_text
from schema.context import Info
from schema.execution_logs.types import ExecutionLog
from schema.functions.inputs import (
    CreateFunctionInput,
    DeleteFunctionInput,
    InvokeFunctionInput,
    UpdateFunctionInput,
    pairs,
)
from schema.functions.types import Function
from schema.workspaces.types import Workspace


@strawberry.type(description="The function that was created.")
class CreateFunctionPayload:
    """What createFunction answers."""

    function: Function = strawberry.field(description="The function as it is stored.")


@strawberry.type(description="The function that was changed.")
class UpdateFunctionPayload:
    """What updateFunction answers."""

    function: Function = strawberry.field(description="The function as it is stored now.")


@strawberry.type(description="The function that was deleted.")
class DeleteFunctionPayload:
    """What deleteFunction answers."""

    deleted_function_id: strawberry.ID = strawberry.field(description="The id that is no more.")
    workspace: Workspace = strawberry.field(description="Its workspace, with the new functionCount.")


@strawberry.type(description="What came of an invocation.")
class InvokeFunctionPayload:
    """What invokeFunction answers."""

    execution_log: ExecutionLog = strawberry.field(description="The invocation as it was recorded.")


@strawberry.type
class FunctionMutations:
    """The mutations of functions."""

    @strawberry.mutation(description="Store a new function. It can be invoked once it is deployed.")
    async def create_function(
        self,
        info: Info,
        input: Annotated[CreateFunctionInput, strawberry.argument(description="The new function.")],
    ) -> CreateFunctionPayload:
        """Create a function."""
        record = await info.context.resources.functions.create(
            workspace_id=input.workspace_id,
            name=input.name,
            description=input.description or None,
            runtime=input.runtime,
            memory=input.memory,
            timeout=input.timeout,
            http_methods=input.http_methods,
            environment_variables=pairs(input.environment_variables),
            code=input.code,
        )
        return CreateFunctionPayload(function=Function.from_record(record, info.context))

    @strawberry.mutation(description="Change a function: only the fields given change.")
    async def update_function(
        self, info: Info, input: Annotated[UpdateFunctionInput, strawberry.argument(description="The changes.")]
    ) -> UpdateFunctionPayload:
        """Update a function."""
        record = await info.context.resources.functions.update(input.id, input.to_changes())
        return UpdateFunctionPayload(function=Function.from_record(record, info.context))

    @strawberry.mutation(
        description="Delete a function with its source, logs, figures, deployments and its SpinApp. When "
        "Kubernetes cannot be reached nothing is deleted; while its workspace is being deleted it is CONFLICT."
    )
    async def delete_function(
        self,
        info: Info,
        input: Annotated[DeleteFunctionInput, strawberry.argument(description="The function to delete.")],
    ) -> DeleteFunctionPayload:
        """Delete a function."""
        record = await info.context.resources.deletions.delete_function(input.id)
        workspace = await info.context.resources.workspaces.require(record.workspace_id)
        return DeleteFunctionPayload(
            deleted_function_id=strawberry.ID(record.id), workspace=Workspace.from_record(workspace)
        )

    @strawberry.mutation(
        description="Call the deployed function. The method defaults to POST where the function allows it, else "
        "to its first. A function that fails, times out (504) or cannot be reached (503) is a result, not an "
        "error: it comes back as the execution log that was stored."
    )
    async def invoke_function(
        self,
        info: Info,
        input: Annotated[InvokeFunctionInput, strawberry.argument(description="How to call it.")],
    ) -> InvokeFunctionPayload:
        """Invoke a function."""
        body = None if input.body is None or input.body is strawberry.UNSET else json_text(input.body)
        record = await info.context.resources.invocations.invoke(
            input.function_id, method=input.method or None, path=input.path, body=body
        )
        return InvokeFunctionPayload(execution_log=ExecutionLog.from_record(record))
