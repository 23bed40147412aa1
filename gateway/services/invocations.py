"""Invoking functions: one call, one execution log, whatever comes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

from gateway.errors import (
    DynamoDBError,
    FunctionDisabledError,
    InvalidInputError,
    NotDeployedError,
    NotFoundError,
)
from gateway.records.clock import Clock
from gateway.records.execution_logs import ExecutionLogRecord
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.services.calls import FunctionCall, Invocation, RawHeaders
from gateway.services.recorder import ExecutionRecorder
from gateway.services.validation import check_function_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.functions import Functions, UnreachableError

MAX_PATH_CHARACTERS = 8_192
"""Path and query; what common servers accept in a request line."""
MAX_RESPONSE_BYTES = 10 * 1024 * 1024
"""Read of an answer that only the log is for; then the connection is closed. What the log keeps is far less."""
PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
"""What a request target may hold as it is."""
OWN_HEADERS: RawHeaders = [(b"accept", b"*/*"), (b"user-agent", b"blue-faas-gateway")]


class InvocationFailedError(Exception):
    """The function did not answer, or not to the end; `log` is what was stored of it: 504 or 503."""

    def __init__(self, log: ExecutionLogRecord) -> None:
        super().__init__(log.logs[-1])
        self.log = log


def not_invocable_reason(function: FunctionRecord) -> str | None:
    """Why a function cannot be called now, in words; None when it can."""
    if function.status is FunctionStatus.DISABLED:
        return "The function is disabled; set its status to ACTIVE to enable it."
    if function.invocation_url is None:
        match function.status:
            case FunctionStatus.BUILDING | FunctionStatus.DEPLOYING:
                return "The function's first deployment is under way."
            case FunctionStatus.FAILED:
                reason = "The function's first deployment was cancelled or failed"
                return f"{reason}; see its latest build, and deploy it again."
            case _:
                return "The function was never deployed; deploy it first."
    return None


class InvocationService:
    """Calls deployed functions and records what came of it; `finish` is to be awaited at the end."""

    def __init__(self, dynamo: Dynamo, functions: Functions, clock: Clock) -> None:
        self._dynamo = dynamo
        self._functions = functions
        self._clock = clock
        self._recorder = ExecutionRecorder(dynamo)

    async def find(self, function_id: str) -> FunctionRecord:
        """The function, whether it can be called or not."""
        function = await self._dynamo.functions.get(check_function_id(function_id))
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="functionId")
        return function

    def check_invocable(self, function: FunctionRecord) -> None:
        """Refuse what is disabled or was never deployed."""
        reason = not_invocable_reason(function)
        if reason is None:
            return
        if function.status is FunctionStatus.DISABLED:
            raise FunctionDisabledError(reason, field="functionId")
        raise NotDeployedError(reason, field="functionId")

    async def invoke(
        self, function_id: str, *, method: HttpMethod | None, path: str, body: str | None
    ) -> ExecutionLogRecord:
        """Send JSON text to a function; its failure to answer is a result: 504 or 503, as it was stored."""
        function = await self.find(function_id)
        chosen = _choose_method(function, method)
        target = _target(path)
        self.check_invocable(function)
        return await self.send(function, method=chosen, target=target, body=body)

    async def send(
        self, function: FunctionRecord, *, method: HttpMethod, target: bytes, body: str | None
    ) -> ExecutionLogRecord:
        """Send JSON text to a function that can be called; what came of it, as it was stored."""
        headers = OWN_HEADERS if body is None else [*OWN_HEADERS, (b"content-type", b"application/json")]
        content = None if body is None else body.encode()
        call = FunctionCall(method=method.value, target=target, headers=headers, body=content)
        try:
            async with self.stream(function, call) as invocation:
                async for _ in invocation.chunks():
                    if invocation.received_bytes > MAX_RESPONSE_BYTES:
                        break
        except InvocationFailedError as failure:
            return failure.log
        assert invocation.log is not None  # noqa: S101  # it was recorded at the end of the block
        return invocation.log

    @asynccontextmanager
    async def stream(self, function: FunctionRecord, call: FunctionCall) -> AsyncIterator[Invocation]:
        """Call a function; within the block its answer can be read, and at the block's end all is recorded.

        The function's timeout bounds the time to the block's end. InvocationFailedError, once it is recorded,
        where the function fails to answer to the end. A block that another error leaves is recorded as cut off.
        DynamoDBError where the log could not be stored.
        """
        invocation = Invocation(function, call)
        failed = False
        deadline = asyncio.timeout(function.timeout)
        try:
            async with (
                deadline,
                self._functions.request(
                    function.invocation_url or "",
                    method=call.method,
                    target=call.target,
                    headers=call.headers,
                    body=invocation.request_body(),
                ) as answer,
            ):
                invocation.answered(answer)
                yield invocation
        except UnreachableError as error:
            invocation.broke_off(error)
            failed = True
        except BaseException as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                invocation.timed_out()
                failed = True
            else:
                invocation.abandoned(error)
                with suppress(DynamoDBError):  # the recorder has logged it, and nobody waits here
                    await self._record(invocation)
                raise
        log = await self._record(invocation)
        if failed:
            raise InvocationFailedError(log)

    async def finish(self) -> None:
        """Wait for what is being recorded."""
        await self._recorder.finish()

    async def _record(self, invocation: Invocation) -> ExecutionLogRecord:
        log = invocation.to_record(self._clock())
        invocation.log = log
        await self._recorder.record(log)
        return log


def _choose_method(function: FunctionRecord, method: HttpMethod | None) -> HttpMethod:
    allowed = function.http_methods
    if method is None:
        return HttpMethod.POST if HttpMethod.POST in allowed else allowed[0]
    if method not in allowed:
        names = ", ".join(each.value for each in allowed)
        raise InvalidInputError(f"The function accepts {names}; not {method.value}.", field="method")
    return method


def _target(path: str) -> bytes:
    """Path and query as they are sent; what is not ASCII is percent-encoded, as browsers do."""
    if not path.startswith("/") or len(path) > MAX_PATH_CHARACTERS:
        message = f"path must start with / and have at most {MAX_PATH_CHARACTERS} characters."
        raise InvalidInputError(message, field="path")
    if any(character <= " " or character in "#\x7f" for character in path):
        raise InvalidInputError(
            "path must not contain spaces, control characters or #; encode them.", field="path"
        )
    try:
        return quote(path, safe=PRINTABLE).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("path must be valid Unicode text.", field="path") from error
