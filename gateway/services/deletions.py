"""Deleting functions and workspaces with all that belongs to them, each step repeatable until nothing is left.

What leads to the rest goes last: a function's own row, a workspace's METADATA. What breaks off is done by calling
again.
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.builds.journal import BuildJournal
from gateway.builds.states import enter
from gateway.errors import ConflictError, GatewayError, NotFoundError
from gateway.records.builds import BuildStatus
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.services.spinapps import SpinApps
from gateway.services.validation import check_function_id, check_workspace_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.function_rows import NEEDED_TO_DELETE
from gateway.upstream.dynamo.removal import WorkspaceRemoval
from gateway.upstream.s3 import SourceBucket

logger = logging.getLogger(__name__)

CONCURRENCY = 10
"""SpinApps deleted at once."""
MAX_CANCEL_ATTEMPTS = 10
"""A build that changes between two of them has come nearer to its end each time."""


class DeletionService:
    """The mutations that delete."""

    def __init__(
        self, dynamo: Dynamo, sources: SourceBucket, spinapps: SpinApps, journal: BuildJournal, clock: Clock
    ) -> None:
        self._dynamo = dynamo
        self._sources = sources
        self._spinapps = spinapps
        self._journal = journal
        self._clock = clock
        self._removal = WorkspaceRemoval(dynamo.table)

    async def delete_function(self, function_id: str) -> FunctionRecord:
        """Remove a function and all that belongs to it; a SpinApp that can't be deleted keeps it in place."""
        check_function_id(function_id, field="id")
        function = await self._dynamo.functions.get(function_id, columns=NEEDED_TO_DELETE)
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="id")
        await self._check_workspace(function.workspace_id)
        stopped = await self._stop(function)
        workspace_id = function.workspace_id
        await self._sources.delete_source(workspace_id, function_id)
        await self._dynamo.deployments.delete_of_function(workspace_id, function_id)
        await self._dynamo.builds.forget_function(function_id)
        await self._dynamo.execution_logs.delete_of_function(function_id)
        await self._dynamo.image_deploys.forget_function(function_id, self._clock())
        await self._dynamo.functions.delete(workspace_id, function_id)
        await self._delete_late_source(function)
        if function.active_build_id is not None:
            await self._delete_late_spinapp(stopped)
        return function

    async def delete_workspace(self, workspace_id: str) -> None:
        """Remove a workspace and all that belongs to it; from the first step on nothing is created in it."""
        check_workspace_id(workspace_id, field="id")
        await self._dynamo.workspaces.mark_deleting(workspace_id)
        late: list[FunctionRecord] = []
        while remaining := await self._removal.list_functions(workspace_id):
            late += await self._stop_all(remaining)
            await self._removal.delete_functions(workspace_id, [function.id for function in remaining])
        await self._dynamo.builds.delete_of_workspace(workspace_id)
        await self._removal.delete_rest(workspace_id)
        await self._sources.delete_sources(workspace_id)
        for function in late:
            await self._delete_late_spinapp(function)
        await self._dynamo.workspaces.delete(workspace_id)

    async def _check_workspace(self, workspace_id: str) -> None:
        """ConflictError where a function goes with its workspace, or will once deleteWorkspace is called again."""
        workspace = await self._dynamo.workspaces.get(workspace_id)
        if workspace is not None and workspace.deleting:
            raise ConflictError(
                f"The workspace {workspace_id} is being deleted with all its functions; where that broke off, "
                "deleteWorkspace goes on.",
                field="id",
                details={"workspaceId": workspace_id},
            )

    async def _stop_all(self, functions: Sequence[FunctionRecord]) -> list[FunctionRecord]:
        """Stop functions; answers those that were being deployed. The first failure is raised after the last."""
        gate = asyncio.Semaphore(CONCURRENCY)

        async def stop(function: FunctionRecord) -> FunctionRecord:
            async with gate:
                return await self._stop(function)

        late: list[FunctionRecord] = []
        stopped = await asyncio.gather(*(stop(function) for function in functions), return_exceptions=True)
        for before, after in zip(functions, stopped, strict=True):
            if isinstance(after, BaseException):
                raise after
            if before.active_build_id is not None:
                late.append(after)
        return late

    async def _stop(self, function: FunctionRecord) -> FunctionRecord:
        """End a function's deploy and delete its SpinApps; answers it as it is then."""
        for _ in range(MAX_CANCEL_ATTEMPTS):
            build = await self._dynamo.builds.get(function.active_build_id) if function.active_build_id else None
            if build is None or build.status.is_final:
                break
            reason = "The function was deleted."
            cancelled = enter(build, BuildStatus.CANCELLED, self._clock(), error=reason)
            await self._journal.store(build, cancelled)
            if build.status is BuildStatus.DEPLOYING:
                await self._dynamo.image_deploys.abandon_build(build, self._clock())
            function = await self._dynamo.functions.get(function.id, columns=NEEDED_TO_DELETE) or function
        await self._spinapps.delete_of(function)
        return function

    async def _delete_late_source(self, function: FunctionRecord) -> None:
        """Delete once more what an update may have stored before the row was gone."""
        try:
            await self._sources.delete_source(function.workspace_id, function.id)
        except GatewayError as error:
            logger.warning("the source of %s, which was deleted, may be there: %s", function.id, error)

    async def _delete_late_spinapp(self, function: FunctionRecord) -> None:
        """Delete once more what a deploy that was under way may have brought back; the pipeline does so too."""
        try:
            await self._spinapps.delete_of(function)
        except GatewayError as error:
            logger.warning("the SpinApp of %s, which was deleted, may be there: %s", function.id, error)
