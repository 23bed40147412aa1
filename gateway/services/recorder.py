"""Recording invocations: execution log and figures, in parallel, whatever becomes of who waits for the log."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from gateway.errors import DynamoDBError
from gateway.records.execution_logs import ExecutionLogRecord, ExecutionStatus
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.errors import ConditionFailedError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 4
"""Of storing a log, each with the SDK's own retries: the function has run, so that the log can't be had again."""
BACKOFF_S = 0.2
"""Before the second attempt, doubled for each one more."""
RECORDING_TIMEOUT_S = 20.0
"""Of storing and of counting, which are done at once; whoever waits has waited for the function already."""


class ExecutionRecorder:
    """Stores execution logs and counts invocations; `finish` is to be awaited before the table is closed."""

    def __init__(self, dynamo: Dynamo, *, timeout_s: float = RECORDING_TIMEOUT_S) -> None:
        self._dynamo = dynamo
        self._timeout_s = timeout_s
        self._under_way: set[asyncio.Task[None]] = set()

    async def record(self, log: ExecutionLogRecord) -> None:
        """Store a log, also when the waiting caller is cancelled; it is counted meanwhile, which nobody waits for.

        DynamoDBError where the log could not be stored; it says that the function did run.
        """
        storing = self._start(self._store_in_time(log))
        self._start(self._count_in_time(log, storing))
        await asyncio.shield(storing)

    async def finish(self) -> None:
        """Wait for what is being recorded."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # it was logged; where nobody waits for it any more, asyncio would complain

    async def _store_in_time(self, log: ExecutionLogRecord) -> None:
        try:
            await asyncio.wait_for(self._store(log), self._timeout_s)
        except (DynamoDBError, TimeoutError) as error:
            logger.error(  # noqa: TRY400 - it is expected, and the reason says all
                "the execution log %s of %s is lost: %s", log.id, log.function_id, error
            )
            reason = str(error) or "DynamoDB did not answer in time."
            raise DynamoDBError(
                f"The function ran (status {log.status_code}), but its log could not be stored: {reason}",
                retryable=False,  # trying again would call the function again
                details={"statusCode": log.status_code, "duration": log.duration_ms, "executed": True},
            ) from error

    async def _count_in_time(self, log: ExecutionLogRecord, storing: asyncio.Task[None]) -> None:
        try:
            is_there = await asyncio.wait_for(self._count(log), self._timeout_s)
        except Exception as error:
            logger.warning("the figures of %s may lack the invocation %s: %r", log.function_id, log.id, error)
            return
        if not is_there:
            await asyncio.wait([storing])
            await self._remove(log)

    async def _store(self, log: ExecutionLogRecord) -> None:
        for attempt in range(MAX_ATTEMPTS):
            try:
                await self._dynamo.execution_logs.put(log)
            except ConditionFailedError:
                return  # an earlier attempt arrived, and only its answer was lost
            except DynamoDBError as error:
                if not error.retryable or attempt == MAX_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(BACKOFF_S * 2**attempt)
            else:
                return

    async def _remove(self, log: ExecutionLogRecord) -> None:
        """Where the function was deleted while it ran, its logs may have been before this one was stored."""
        try:
            if await self._dynamo.functions.get(log.function_id) is None:  # figures alone may be missing
                await self._dynamo.execution_logs.delete(log)
        except DynamoDBError as error:
            logger.warning("the log %s of %s may be left of a deletion: %s", log.id, log.function_id, error)

    async def _count(self, log: ExecutionLogRecord) -> bool:
        """Count once: counting again what may have arrived would make the figures wrong.

        Answers whether the function is still there.
        """
        if log.workspace_id is None:
            return True
        return await self._dynamo.figures.count(
            log.workspace_id,
            log.function_id,
            at=log.timestamp,
            is_error=log.status is ExecutionStatus.ERROR,
            duration_ms=log.duration_ms,
        )
