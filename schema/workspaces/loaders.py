"""What batches the reading of workspaces."""

from collections.abc import Mapping

from gateway.records.workspaces import WorkspaceRecord
from gateway.upstream.dynamo.keys import workspace_key
from schema.context import Loader
from schema.rows import RowLoader


class WorkspaceByIdLoader(Loader[str, WorkspaceRecord]):
    """Workspaces by id, without those that are being deleted."""

    async def load_batch(self, keys: tuple[str, ...]) -> Mapping[str, WorkspaceRecord | Exception]:
        """Through the rows' loader, so that other rows join the batch."""
        rows = await self.context.loader(RowLoader).load_many([workspace_key(key) for key in keys])
        return {row.id: row for row in rows if isinstance(row, WorkspaceRecord) and not row.deleting}
