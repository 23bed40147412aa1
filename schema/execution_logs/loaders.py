"""What batches the reading of execution logs."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.records.execution_logs import ExecutionLogFilter, ExecutionLogRecord
from gateway.records.pages import Page
from schema.context import Loader, load_each


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionLogQuery:
    """A page of the logs of a function, or of all functions of a workspace."""

    first: int
    after: str | None
    wanted: ExecutionLogFilter
    bodies: bool
    workspace_id: str | None = None
    function_id: str | None = None


class ExecutionLogPageLoader(Loader[ExecutionLogQuery, Page[ExecutionLogRecord]]):
    """Pages of execution logs."""

    async def load_batch(
        self, keys: tuple[ExecutionLogQuery, ...]
    ) -> Mapping[ExecutionLogQuery, Page[ExecutionLogRecord] | Exception]:
        """One Query each, all at once."""
        return await load_each(keys, self._load_page)

    async def _load_page(self, query: ExecutionLogQuery) -> Page[ExecutionLogRecord]:
        table = self.resources.dynamo.execution_logs
        if query.function_id is not None:
            return await table.list_of_function(
                query.function_id, first=query.first, after=query.after, wanted=query.wanted, bodies=query.bodies
            )
        return await table.list_of_workspace(
            query.workspace_id or "",
            first=query.first,
            after=query.after,
            wanted=query.wanted,
            bodies=query.bodies,
        )
