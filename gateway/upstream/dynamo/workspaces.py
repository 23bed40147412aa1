"""Workspaces in the table: their METADATA rows, listed by the index."""

from typing import Any

from gateway.errors import NotFoundError
from gateway.records.pages import Page
from gateway.records.workspaces import WorkspaceRecord
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Condition, Delete, Put, Update, all_of, exists, not_exists
from gateway.upstream.dynamo.keys import (
    ALL_WORKSPACES,
    INDEX_PK,
    INDEX_SK,
    stamp,
    workspace_figures_key,
    workspace_key,
)
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import Table

FUNCTION_WRITES = "function_writes"
"""Counts up with every create and delete of a function, so that a recount of them notices those during it."""

ATTRIBUTES = ("id", "name", "description", "createdAt", "functionCount", "deleting")


def to_workspace(item: Item) -> WorkspaceRecord:
    """Read a METADATA row."""
    return WorkspaceRecord(
        id=rows.key_id(item, "PK"),
        name=rows.text(item, "name"),
        description=rows.text(item, "description"),
        created_at=rows.time(item, "createdAt"),
        function_count=max(rows.integer(item, "functionCount"), 0),
        deleting=bool(item.get("deleting")),
    )


def _live_only(item: Item) -> WorkspaceRecord | None:
    return None if item.get("deleting") else to_workspace(item)


def live_workspace() -> Condition:
    """A METADATA row that is there and not being deleted."""
    return all_of(exists(), not_exists("deleting"))


class WorkspaceTable:
    """Reads and writes workspaces."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def list_page(self, *, first: int, after: str | None) -> Page[WorkspaceRecord]:
        """A page of all workspaces, newest first; those being deleted are left out."""
        every = RowRange(partition=ALL_WORKSPACES, low=" ", high="~", index=True, forward=False)
        return await read_page(
            self._table,
            every,
            first=first,
            after=after,
            convert=_live_only,
            attributes=ATTRIBUTES,
        )

    async def get(self, workspace_id: str) -> WorkspaceRecord | None:
        """A workspace as it is stored now."""
        item = await self._table.get(workspace_key(workspace_id), attributes=("PK", *ATTRIBUTES))
        return None if item is None else rows.read_row(item, to_workspace)

    async def create(self, workspace: WorkspaceRecord) -> None:
        """Write a new workspace and its empty figures."""
        created = stamp(workspace.created_at)
        item: dict[str, Any] = {
            **workspace_key(workspace.id).as_item(),
            INDEX_PK: ALL_WORKSPACES,
            INDEX_SK: f"{created}#{workspace.id}",
            "id": workspace.id,
            "name": workspace.name,
            "description": workspace.description,
            "createdAt": created,
            "functionCount": 0,
            # Read by the former backend only; the figures are in WSSTATS.
            "invocations24h": 0,
            "errorRate": 0,
        }
        await self._table.transact(
            [
                Put(item=item, condition=not_exists()),
                Put(item=workspace_figures_key(workspace.id).as_item(), condition=not_exists()),
            ]
        )

    async def update(self, workspace_id: str, changes: dict[str, Any]) -> None:
        """Change a workspace's attributes; NotFoundError where it is gone or being deleted."""
        try:
            await self._table.write(
                Update(key=workspace_key(workspace_id), set=changes, condition=live_workspace())
            )
        except ConditionFailedError as error:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="id") from error

    async def mark_deleting(self, workspace_id: str) -> None:
        """From here on nothing can be created in the workspace; NotFoundError where it is gone."""
        try:
            await self._table.write(
                Update(key=workspace_key(workspace_id), set={"deleting": True}, condition=exists())
            )
        except ConditionFailedError as error:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="id") from error

    async def delete(self, workspace_id: str) -> None:
        """Remove the workspace's own rows, METADATA last, so that a broken deletion can be repeated."""
        await self._table.write(Delete(key=workspace_figures_key(workspace_id)))
        await self._table.write(Delete(key=workspace_key(workspace_id)))
