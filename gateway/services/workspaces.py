"""Creating, changing and deleting workspaces."""

import asyncio
from typing import Any

from gateway.errors import NotFoundError
from gateway.records.clock import Clock
from gateway.records.workspaces import WorkspaceRecord
from gateway.services.functions import FunctionService
from gateway.services.ids import new_workspace_id
from gateway.services.validation import check_description, check_name, check_workspace_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.s3 import SourceBucket

DELETE_CONCURRENCY = 10
"""Functions deleted at once; each makes about ten calls."""


class WorkspaceService:
    """The use cases of workspaces."""

    def __init__(self, dynamo: Dynamo, sources: SourceBucket, functions: FunctionService, clock: Clock) -> None:
        self._dynamo = dynamo
        self._sources = sources
        self._functions = functions
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

    async def delete(self, workspace_id: str) -> None:
        """Remove a workspace and all that belongs to it; repeated after a failure, it goes on where it stopped."""
        check_workspace_id(workspace_id, field="id")
        await self._dynamo.workspaces.mark_deleting(workspace_id)
        gate = asyncio.Semaphore(DELETE_CONCURRENCY)

        async def delete_one(function_id: str) -> None:
            async with gate:
                await self._functions.delete(function_id)

        while True:
            page = await self._dynamo.functions.list_page(workspace_id, first=100, after=None)
            async with asyncio.TaskGroup() as tasks:
                for function in page.items:
                    tasks.create_task(delete_one(function.id))
            if not page.has_next:
                break
        await self._dynamo.builds.delete_of_workspace(workspace_id)
        await self._sources.delete_sources(workspace_id)
        await self._dynamo.workspaces.delete(workspace_id)
