"""Creating, changing and deleting functions: S3 first, then the table, whose write is the commit."""

import logging

from gateway.errors import NotFoundError, S3Error
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.services import validation as valid
from gateway.services.function_changes import DEPLOYED_CHANGES, FunctionChanges, checked_changes
from gateway.services.ids import new_function_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.functions import code_changes
from gateway.upstream.dynamo.keys import stamp
from gateway.upstream.functions import Functions
from gateway.upstream.kubernetes import Kubernetes
from gateway.upstream.s3 import SourceBucket

logger = logging.getLogger(__name__)


class FunctionService:
    """The use cases of functions but for invoking and deploying them."""

    def __init__(
        self,
        dynamo: Dynamo,
        sources: SourceBucket,
        kubernetes: Kubernetes,
        functions: Functions,
        clock: Clock,
        *,
        max_code_bytes: int,
    ) -> None:
        self._dynamo = dynamo
        self._sources = sources
        self._kubernetes = kubernetes
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
        except BaseException:
            await self._forget_source(workspace_id, function.id)
            raise
        return function

    async def update(self, function_id: str, changes: FunctionChanges) -> FunctionRecord:
        """Change what is given; NotFoundError where the function is gone, which this does not bring back."""
        function = await self._require(function_id)
        attributes, removed = checked_changes(changes, self._functions.check_url)
        code = changes.get("code")
        if code is not None:
            source = valid.check_code(code, max_bytes=self._max_code_bytes)
            await self._sources.write_source(function.workspace_id, function_id, source)
            kept, dropped = code_changes(source)
            attributes |= kept
            removed += dropped
        if attributes or removed:
            attributes["lastModified"] = stamp(self._clock())
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
            except NotFoundError:
                if code is not None:
                    await self._forget_source(function.workspace_id, function_id)
                raise
        return await self._require(function_id)

    async def delete(self, function_id: str) -> FunctionRecord:
        """Remove a function and all that belongs to it; a SpinApp that can't be deleted keeps it in place."""
        function = await self._require(function_id)
        if function.app_name is not None and function.namespace is not None:
            await self._kubernetes.delete_spinapp(function.namespace, function.app_name)
        await self._sources.delete_source(function.workspace_id, function_id)
        await self._dynamo.deployments.delete_of_function(function.workspace_id, function_id)
        await self._dynamo.builds.forget_function(function_id)
        await self._dynamo.execution_logs.delete_of_function(function_id)
        await self._dynamo.functions.delete(function.workspace_id, function_id)
        return function

    async def _require(self, function_id: str) -> FunctionRecord:
        function = await self._dynamo.functions.get(valid.check_function_id(function_id, field="id"))
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="id")
        return function

    async def _forget_source(self, workspace_id: str, function_id: str) -> None:
        """Undo the write to S3; where that fails too, an unreferenced object is all that is left."""
        try:
            await self._sources.delete_source(workspace_id, function_id)
        except S3Error:
            logger.warning("the source of %s, which was not created, stays in S3", function_id)
