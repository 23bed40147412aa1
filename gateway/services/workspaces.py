"""Creating and changing workspaces; deletions.py deletes them."""

from typing import Any

from gateway.errors import NotFoundError
from gateway.records.clock import Clock
from gateway.records.workspaces import WorkspaceRecord
from gateway.services.ids import new_workspace_id
from gateway.services.validation import check_description, check_name, check_workspace_id
from gateway.upstream.dynamo import Dynamo


class WorkspaceService:
    """The use cases of workspaces."""

    def __init__(self, dynamo: Dynamo, clock: Clock) -> None:
        self._dynamo = dynamo
        self._clock = clock

    async def create(self, *, name: str, description: str | None) -> WorkspaceRecord:
        """Make an empty workspace."""
        workspace = WorkspaceRecord(
            id=new_workspace_id(),
            name=check_name(name),
            description=check_description(description),
            created_at=self._clock(),
            function_count=0,
        )
        await self._dynamo.workspaces.create(workspace)
        return workspace

    async def update(self, workspace_id: str, changes: dict[str, Any]) -> WorkspaceRecord:
        """Change the attributes given: `name`, and `description`, which None clears."""
        check_workspace_id(workspace_id, field="id")
        checked: dict[str, Any] = {}
        if "name" in changes:
            checked["name"] = check_name(changes["name"])
        if "description" in changes:
            checked["description"] = check_description(changes["description"])
        if checked:
            await self._dynamo.workspaces.update(workspace_id, checked)
        return await self.require(workspace_id)

    async def require(self, workspace_id: str) -> WorkspaceRecord:
        """A workspace as it is stored now; NotFoundError where there is none."""
        workspace = await self._dynamo.workspaces.get(workspace_id)
        if workspace is None or workspace.deleting:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="id")
        return workspace
