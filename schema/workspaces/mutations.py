"""Creating, changing and deleting workspaces."""

from typing import Annotated, Any

import strawberry

from gateway.errors import InvalidInputError
from schema.context import Info
from schema.workspaces.types import Workspace


@strawberry.input(description="A new workspace.")
class CreateWorkspaceInput:
    """A new workspace."""

    name: str = strawberry.field(description="1 to 100 characters after trimming, no control characters.")
    description: str | None = strawberry.field(default=strawberry.UNSET, description="Up to 1,000 characters.")


@strawberry.input(description="Changes to a workspace; only the fields given change.")
class UpdateWorkspaceInput:
    """Changes to a workspace."""

    id: strawberry.ID = strawberry.field(description="The workspace.")
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="1 to 100 characters after trimming."
    )
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="Up to 1,000 characters; null clears it."
    )

    def to_changes(self) -> dict[str, Any]:
        """What was given."""
        given = {"name": self.name, "description": self.description}
        changes = {name: value for name, value in given.items() if value is not strawberry.UNSET}
        if "name" in changes and changes["name"] is None:
            raise InvalidInputError("name must not be null; leave it out to keep it.", field="name")
        return changes


@strawberry.input(description="The workspace to delete.")
class DeleteWorkspaceInput:
    """The workspace to delete."""

    id: strawberry.ID = strawberry.field(description="The workspace.")


@strawberry.type(description="The workspace that was created.")
class CreateWorkspacePayload:
    """What createWorkspace answers."""

    workspace: Workspace = strawberry.field(description="The workspace as it is stored.")


@strawberry.type(description="The workspace that was changed.")
class UpdateWorkspacePayload:
    """What updateWorkspace answers."""

    workspace: Workspace = strawberry.field(description="The workspace as it is stored now.")


@strawberry.type(description="The workspace that was deleted.")
class DeleteWorkspacePayload:
    """What deleteWorkspace answers."""

    deleted_workspace_id: strawberry.ID = strawberry.field(description="The id that is no more.")


@strawberry.type
class WorkspaceMutations:
    """The mutations of workspaces."""

    @strawberry.mutation(description="Make an empty workspace.")
    async def create_workspace(
        self,
        info: Info,
        input: Annotated[CreateWorkspaceInput, strawberry.argument(description="The new workspace.")],
    ) -> CreateWorkspacePayload:
        """Create a workspace."""
        record = await info.context.resources.workspaces.create(
            name=input.name, description=input.description or None
        )
        return CreateWorkspacePayload(workspace=Workspace.from_record(record))

    @strawberry.mutation(description="Change a workspace: only the fields given change.")
    async def update_workspace(
        self, info: Info, input: Annotated[UpdateWorkspaceInput, strawberry.argument(description="The changes.")]
    ) -> UpdateWorkspacePayload:
        """Update a workspace."""
        record = await info.context.resources.workspaces.update(input.id, input.to_changes())
        return UpdateWorkspacePayload(workspace=Workspace.from_record(record))

    @strawberry.mutation(
        description="Delete a workspace with its functions, builds, logs, stored sources and SpinApps. Where that "
        "breaks off, calling it again goes on until nothing is left."
    )
    async def delete_workspace(
        self,
        info: Info,
        input: Annotated[DeleteWorkspaceInput, strawberry.argument(description="The workspace to delete.")],
    ) -> DeleteWorkspacePayload:
        """Delete a workspace."""
        await info.context.resources.deletions.delete_workspace(input.id)
        return DeleteWorkspacePayload(deleted_workspace_id=input.id)
