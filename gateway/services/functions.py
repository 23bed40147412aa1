"""Creating and changing functions: S3 first, then the table, whose write is the commit; deletions.py deletes."""

import logging
from datetime import datetime

from gateway.errors import DynamoDBError, NotFoundError, S3Error
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.services import validation as valid
from gateway.services.function_changes import DEPLOYED_CHANGES, FunctionChanges, checked_changes
from gateway.services.ids import new_function_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.function_rows import code_changes
from gateway.upstream.dynamo.keys import stamp
from gateway.upstream.functions import Functions
from gateway.upstream.s3 import SourceBucket

logger = logging.getLogger(__name__)


class FunctionService:
    """The use cases of functions but for invoking and deploying them."""

    def __init__(
        self,
        dynamo: Dynamo,
        sources: SourceBucket,
        functions: Functions,
        clock: Clock,
        *,
        max_code_bytes: int,
    ) -> None:
        self._dynamo = dynamo
        self._sources = sources
        self._functions = functions
        self._clock = clock
        self._max_code_bytes = max_code_bytes

    async def create(
        self,
        *,
        workspace_id: str,
        name: str,
        description: str | None,
        runtime: str,
        memory: int,
        timeout: int,  # noqa: ASYNC109  # the function's own limit, not one of this call
        http_methods: list[HttpMethod],
        environment_variables: list[tuple[str, str]],
        code: bytes,
    ) -> FunctionRecord:
        """Store a new function; it is ACTIVE, and not invocable before it is deployed."""
        now = self._clock()
        function = FunctionRecord(
            id=new_function_id(),
            workspace_id=valid.check_workspace_id(workspace_id),
            name=valid.check_name(name),
            description=valid.check_description(description),
            runtime=valid.check_runtime(runtime),
            memory=valid.check_memory(memory),
            timeout=valid.check_timeout(timeout),
            http_methods=valid.check_methods(http_methods),
            environment_variables=valid.check_environment(environment_variables),
            status=FunctionStatus.ACTIVE,
            invocation_url=None,
            created_at=now,
            last_modified=now,
            last_deployed=None,
            revision=1,
        )
        source = valid.check_code(code, max_bytes=self._max_code_bytes)
        await self._sources.write_source(workspace_id, function.id, source)
        try:
            await self._dynamo.functions.create(function, source)
        except DynamoDBError:
            # It may have been written, and the answer lost. Where that can't be read either, the object stays.
            if (stored := await self._dynamo.functions.get(function.id)) is not None:
                return stored
            await self._restore_source(function, None)
            raise
        except BaseException:
            await self._restore_source(function, None)
            raise
        return function

    async def update(self, function_id: str, changes: FunctionChanges) -> FunctionRecord:
        """Change what is given; NotFoundError where the function is gone, which this does not bring back."""
        function = await self._require(function_id)
        attributes, removed = checked_changes(changes, self._functions.check_url)
        code = changes.get("code")
        before: bytes | None = None
        if code is not None:
            source = valid.check_code(code, max_bytes=self._max_code_bytes)
            kept, dropped = code_changes(source)
            attributes |= kept
            removed += dropped
            before = await self._sources.read_source(function.workspace_id, function_id)
            await self._sources.write_source(function.workspace_id, function_id, source)
        if attributes or removed:
            now = self._clock()
            attributes["lastModified"] = stamp(now)
            deployed = "last_deployed" in changes  # by the client itself, with what this call changes
            redeploy = code is not None or bool(changes.keys() & DEPLOYED_CHANGES)
            try:
                await self._dynamo.functions.update(
                    function.workspace_id,
                    function_id,
                    changes=attributes,
                    removed=removed,
                    new_revision=redeploy and not deployed,
                    deployed=deployed,
                )
            except BaseException:
                if code is not None:
                    await self._undo_source(function, before, now)
                raise
        return await self._require(function_id)

    async def _require(self, function_id: str) -> FunctionRecord:
        function = await self._dynamo.functions.get(valid.check_function_id(function_id, field="id"))
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="id")
        return function

    async def _undo_source(self, function: FunctionRecord, before: bytes | None, at: datetime) -> None:
        """Put back the source that was there before an update of this time, where the row is as it was too.

        The update may have been written, and its answer lost; or another one has been since, whose source it is.
        """
        try:
            stored = await self._dynamo.functions.get(function.id)
        except DynamoDBError:
            logger.warning("S3 keeps the source of %s from a write that may not have been made", function.id)
            return
        if stored is None:
            await self._restore_source(function, None)
        elif stored.revision == function.revision and stored.last_modified != at:
            await self._restore_source(function, before)

    async def _restore_source(self, function: FunctionRecord, before: bytes | None) -> None:
        """Undo the write to S3; where that fails too, the log says which object is not the row's."""
        try:
            if before is None:
                await self._sources.delete_source(function.workspace_id, function.id)
            else:
                await self._sources.write_source(function.workspace_id, function.id, before)
        except S3Error:
            logger.warning("S3 keeps the source of %s from a write that was not made", function.id)
