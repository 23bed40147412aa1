"""Invoking functions: one call, one execution log, whatever comes of it."""

import asyncio
import time
from collections.abc import Mapping

from gateway.errors import (
    FunctionDisabledError,
    InvalidInputError,
    NotDeployedError,
    NotFoundError,
)
from gateway.records.clock import Clock
from gateway.records.execution_logs import ExecutionLogRecord, ExecutionStatus, LogLevel
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.services.bodies import (
    MAX_REQUEST_LOG_BYTES,
    MAX_RESPONSE_LOG_BYTES,
    bounded_text,
    response_text,
)
from gateway.services.ids import new_log_id
from gateway.services.validation import check_function_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.functions import FunctionAnswer, Functions, InvocationTimeoutError, UnreachableError

TIMED_OUT = 504
UNREACHABLE = 503
MAX_PATH_CHARACTERS = 8_192
"""Path and query; what common servers accept in a request line."""


def not_invocable_reason(function: FunctionRecord) -> str | None:
    """Why a function cannot be called now, in words; None when it can."""
    if function.status is FunctionStatus.DISABLED:
        return "The function is disabled; set its status to ACTIVE to enable it."
    if function.invocation_url is None:
        match function.status:
            case FunctionStatus.BUILDING | FunctionStatus.DEPLOYING:
                return "The function's first deployment is under way."
            case FunctionStatus.FAILED:
                return "The function's first deployment failed; see its latest build, and deploy it again."
            case _:
                return "The function was never deployed; deploy it first."
    return None


class InvocationService:
    """Calls deployed functions and records what came of it."""

    def __init__(self, dynamo: Dynamo, functions: Functions, clock: Clock) -> None:
        self._dynamo = dynamo
        self._functions = functions
        self._clock = clock

    async def invoke(
        self, function_id: str, *, method: HttpMethod | None, path: str, body: str | None
    ) -> ExecutionLogRecord:
        """Send JSON text to a function; its failure to answer is a result: 504 or 503, as it was stored."""
        function = await self._dynamo.functions.get(check_function_id(function_id))
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="functionId")
        chosen = _choose_method(function, method)
        _check_path(path)
        self._check_invocable(function)
        headers = {} if body is None else {"content-type": "application/json"}
        started = time.perf_counter()
        status_code, response, notes = await self._call(function, chosen, path, headers, body)
        duration_ms = (time.perf_counter() - started) * 1000
        return await self._record(
            function,
            status_code=status_code,
            duration_ms=duration_ms,
            request_body=None if body is None else bounded_text(body, MAX_REQUEST_LOG_BYTES),
            response_body=response,
            logs=notes,
        )

    def _check_invocable(self, function: FunctionRecord) -> None:
        reason = not_invocable_reason(function)
        if reason is None:
            return
        if function.status is FunctionStatus.DISABLED:
            raise FunctionDisabledError(reason, field="functionId")
        raise NotDeployedError(reason, field="functionId")

    async def _call(
        self, function: FunctionRecord, method: HttpMethod, path: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, str | None, tuple[str, ...]]:
        """Answers the status, the body as JSON text, and what is to be noted in the log."""
        try:
            answer = await self._functions.call(
                function.invocation_url or "",
                method=method.value,
                path=path,
                headers=headers,
                body=None if body is None else body.encode(),
                timeout_s=function.timeout,
            )
        except InvocationTimeoutError as error:
            return TIMED_OUT, None, (f"The function timed out: {error}.",)
        except UnreachableError as error:
            return UNREACHABLE, None, (f"The function could not be reached: {error}.",)
        return answer.status_code, self._logged_body(answer), ()

    def _logged_body(self, answer: FunctionAnswer) -> str | None:
        return response_text(
            answer.body,
            answer.headers.get("content-type", ""),
            limit=MAX_RESPONSE_LOG_BYTES,
            incomplete=answer.truncated,
        )

    async def _record(
        self,
        function: FunctionRecord,
        *,
        status_code: int,
        duration_ms: float,
        request_body: str | None,
        response_body: str | None,
        logs: tuple[str, ...],
    ) -> ExecutionLogRecord:
        """Store the log and count it; the answer is what was stored."""
        succeeded = 200 <= status_code < 300  # a 2xx
        log = ExecutionLogRecord(
            id=new_log_id(),
            function_id=function.id,
            workspace_id=function.workspace_id,
            timestamp=self._clock(),
            status=ExecutionStatus.SUCCESS if succeeded else ExecutionStatus.ERROR,
            duration_ms=round(duration_ms, 3),
            status_code=status_code,
            request_body=request_body,
            response_body=response_body,
            logs=logs,
            level=_level(status_code),
        )
        await asyncio.gather(
            self._dynamo.execution_logs.put(log),
            self._dynamo.figures.count(
                function.workspace_id,
                function.id,
                at=log.timestamp,
                is_error=not succeeded,
                duration_ms=log.duration_ms,
            ),
        )
        return log


def _level(status_code: int) -> LogLevel:
    if status_code >= 500:  # a 5xx
        return LogLevel.ERROR
    return LogLevel.INFO if 200 <= status_code < 300 else LogLevel.WARN  # a 2xx


def _choose_method(function: FunctionRecord, method: HttpMethod | None) -> HttpMethod:
    allowed = function.http_methods
    if method is None:
        return HttpMethod.POST if HttpMethod.POST in allowed else allowed[0]
    if method not in allowed:
        names = ", ".join(each.value for each in allowed)
        raise InvalidInputError(f"The function accepts {names}; not {method.value}.", field="method")
    return method


def _check_path(path: str) -> None:
    if not path.startswith("/") or len(path) > MAX_PATH_CHARACTERS:
        message = f"path must start with / and have at most {MAX_PATH_CHARACTERS} characters."
        raise InvalidInputError(message, field="path")
    if any(character <= " " or character in "#\x7f" for character in path):
        raise InvalidInputError(
            "path must not contain spaces, control characters or #; encode them.", field="path"
        )
