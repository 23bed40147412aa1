"""One call of a function while it is under way, and what its execution log will say; nothing is sent from here."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from gateway.records.execution_logs import ExecutionLogRecord, ExecutionStatus, LogLevel
from gateway.records.functions import FunctionRecord
from gateway.services.bodies import MAX_REQUEST_LOG_BYTES, MAX_RESPONSE_LOG_BYTES, BodyLog
from gateway.services.ids import new_log_id
from gateway.upstream.functions import Body, FunctionResponse

TIMED_OUT = 504
UNREACHABLE = 503
CALLER_LEFT = 499
"""Nobody got an answer; the status that nginx made common for it."""
MAX_NOTE_CHARACTERS = 1_000
"""A note may quote a URL of 2,048 characters; what matters comes first."""

RawHeaders = list[tuple[bytes, bytes]]


class CallerError(Exception):
    """The caller's part of a call failed; recorded with `status_code`, where no answer was there before."""

    def __init__(self, message: str, status_code: int = CALLER_LEFT) -> None:
        super().__init__(message)
        self.status_code = status_code


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """What is sent to a function."""

    method: str
    target: bytes
    """Path and query."""
    headers: RawHeaders
    body: Body | None


class Invocation:
    """A call under way: what passes is noted as far as the log keeps it.

    `waits_for_caller` is set by whoever sends the answer on, so that the log can say whose time it was.
    """

    def __init__(self, function: FunctionRecord, call: FunctionCall) -> None:
        self.function = function
        self.waits_for_caller = False
        self._waits_for_request = False
        self.log: ExecutionLogRecord | None = None
        self._call = call
        self._started = time.perf_counter()
        self._request = BodyLog(MAX_REQUEST_LOG_BYTES, **_kind(call.headers))
        self._answer: FunctionResponse | None = None
        self._response = BodyLog(MAX_RESPONSE_LOG_BYTES)
        self._announced_bytes: int | None = None
        self._status_code = CALLER_LEFT
        self._notes: list[str] = []

    @property
    def answer(self) -> FunctionResponse:
        """What the function answers; there once the block of InvocationService.stream is entered."""
        assert self._answer is not None  # noqa: S101  # the block is entered with it
        return self._answer

    @property
    def received_bytes(self) -> int:
        """Of the answer's body, so far."""
        return self._response.size_bytes

    def request_body(self) -> Body | None:
        """The request's body, noted while it is sent."""
        if isinstance(self._call.body, bytes):
            self._request.add(self._call.body)
            return self._call.body
        return None if self._call.body is None else self._noted(self._call.body)

    async def _noted(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(body):
            self._waits_for_request = True
            async for chunk in body:
                self._waits_for_request = False
                self._request.add(chunk)
                yield chunk
                self._waits_for_request = True
            self._waits_for_request = False

    def answered(self, answer: FunctionResponse) -> None:
        """Note the head of the answer."""
        self._answer = answer
        self._status_code = answer.status_code
        self._response = BodyLog(MAX_RESPONSE_LOG_BYTES, **_kind(answer.headers))
        length = _value(answer.headers, b"content-length")
        if self._call.method != "HEAD" and length.isascii() and length.isdigit():
            self._announced_bytes = int(length)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The answer's body, noted while it is read."""
        async for chunk in self.answer.body:
            self._response.add(chunk)
            yield chunk

    def timed_out(self) -> None:
        """Note that the function's time is over."""
        limit = f"{self.function.timeout:g} s"
        if self._answer is None:
            self._status_code = TIMED_OUT
            whose = "the request had not ended" if self._waits_for_request else "no answer"
            self._note(f"The function timed out: {whose} within {limit}.")
        elif self.waits_for_caller:
            self._note(f"The caller had not taken the whole answer within {limit}.")
        elif self._waits_for_request:
            self._note(f"The function answered {self._status_code}, and the request had not ended within {limit}.")
        else:
            self._note(f"The function answered {self._status_code} and timed out: no end within {limit}.")
            self._status_code = TIMED_OUT

    def broke_off(self, error: Exception) -> None:
        """Note that the function can't be reached, or not any more."""
        reason = str(error).rstrip(".")
        if self._answer is None:
            self._note(f"The function could not be reached: {reason}.")
        else:
            self._note(f"The function answered {self._status_code} and broke off: {reason}.")
        self._status_code = UNREACHABLE

    def abandoned(self, error: BaseException) -> None:
        """Note that nobody waits for the answer any more; what was answered before stays the status."""
        if isinstance(error, CallerError):
            self._note(f"The call was cut off: {error}.")
            if self._answer is None:
                self._status_code = error.status_code
        else:
            self._note("The call was cut off: the caller left, or the gateway stopped.")

    def to_record(self, now: datetime) -> ExecutionLogRecord:
        """The execution log of what was noted, as of now."""
        succeeded = 200 <= self._status_code < 300  # a 2xx
        return ExecutionLogRecord(
            id=new_log_id(),
            function_id=self.function.id,
            workspace_id=self.function.workspace_id,
            timestamp=now,
            status=ExecutionStatus.SUCCESS if succeeded else ExecutionStatus.ERROR,
            duration_ms=round((time.perf_counter() - self._started) * 1000, 3),
            status_code=self._status_code,
            request_body=self._request.text(),
            response_body=self._response.text(size_bytes=self._announced_bytes),
            logs=tuple(self._notes),
            level=_level(self._status_code),
        )

    def _note(self, text: str) -> None:
        self._notes.append(text[:MAX_NOTE_CHARACTERS])


def _level(status_code: int) -> LogLevel:
    if status_code >= 500:  # a 5xx
        return LogLevel.ERROR
    return LogLevel.INFO if 200 <= status_code < 300 else LogLevel.WARN  # a 2xx


def _kind(headers: RawHeaders) -> dict[str, str]:
    return {
        "content_type": _value(headers, b"content-type"),
        "encoding": _value(headers, b"content-encoding"),
    }


def _value(headers: RawHeaders, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == wanted), "")
