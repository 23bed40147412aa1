"""/invoke/{functionId}/{path}: a function as if it were called directly, and recorded as invokeFunction does.

Method, path, query, headers and both bodies pass through as they are; what does not is in forwarding.py. What the
gateway itself has to say is JSON: `{"errors": [{"message", "extensions": {"code", …}}]}`.
"""

import asyncio
import logging
import uuid
from http import HTTPStatus
from urllib.parse import quote, unquote

import orjson
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import (
    FunctionDisabledError,
    GatewayError,
    InvalidInputError,
    NotDeployedError,
    NotFoundError,
    OperationTimeoutError,
    PayloadTooLargeError,
    UpstreamError,
)
from gateway.records.functions import FunctionRecord, HttpMethod
from gateway.services.calls import TIMED_OUT, CallerError, FunctionCall, Invocation
from gateway.services.invocations import PRINTABLE, InvocationFailedError, InvocationService
from gateway.web.forwarding import RequestBody, request_headers, response_headers, times_passed

PREFIX = "/invoke/"
MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""Of a request's body; it is streamed, but a function holds it in its memory, of 1 GB at the most."""
MAX_TIMES_PASSED = 3
"""A function may call others through the gateway; one whose URL leads back here would go round for ever."""
INVOCATION_ERROR = "INVOCATION_ERROR"
"""The former backend's code for a function that can't be reached."""
STATUSES: dict[type, int] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    InvalidInputError: HTTPStatus.NOT_FOUND,  # the id, which is part of the path, is none
    FunctionDisabledError: HTTPStatus.FORBIDDEN,
    NotDeployedError: HTTPStatus.CONFLICT,
    UpstreamError: HTTPStatus.SERVICE_UNAVAILABLE,
}

logger = logging.getLogger(__name__)


class InvokeMiddleware:
    """Takes what is below /invoke/ out of the application: its CORS headers and routes are not for functions."""

    def __init__(self, app: ASGIApp, invoke: ASGIApp) -> None:
        self._app = app
        self._invoke = invoke

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the one or the other."""
        is_call = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._invoke if is_call else self._app)(scope, receive, send)


class InvokeRoute:
    """The route as an ASGI application; when `draining` is set, what is cut off gets an answer."""

    def __init__(self, invocations: InvocationService, draining: asyncio.Event) -> None:
        self._invocations = invocations
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call until it has ended or the caller has left."""
        body = RequestBody(receive, MAX_REQUEST_BYTES)
        answer = _Answer(scope, send)
        working = asyncio.create_task(self._serve(scope, body, answer))
        leaving = asyncio.create_task(body.caller_left())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _stop(working, leaving)
            if not self._draining.is_set():
                raise
            # The drain's time is over: the task ends with this answer, in place of the cancellation.
            await answer.refuse(503, "The gateway stopped before the answer was there.", INVOCATION_ERROR)
            return
        await _stop(working, leaving)
        if not working.cancelled():
            working.result()

    async def _serve(self, scope: Scope, body: RequestBody, answer: "_Answer") -> None:
        """Answer a call, whatever happens."""
        try:
            await self._call(scope, body, answer)
        except CallerError as error:
            if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                await answer.refuse(413, f"The call was cut off: {error}.", PayloadTooLargeError.code)
        except InvocationFailedError as failure:
            status = failure.log.status_code
            code = OperationTimeoutError.code if status == TIMED_OUT else INVOCATION_ERROR
            await answer.refuse(status, str(failure), code, {"executionLogId": failure.log.id})
        except GatewayError as error:
            status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
            await answer.refuse(status, error.message, error.code, error.details, retryable=error.retryable)
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("unexpected error %s in %s", error_id, scope["path"])
            await answer.refuse(500, "Internal server error", GatewayError.code, {"errorId": error_id})

    async def _call(self, scope: Scope, body: RequestBody, answer: "_Answer") -> None:
        function_id, target = _split(scope)
        function = await self._invocations.find(function_id)
        allowed = _allowed_methods(function)
        if scope["method"] not in allowed:
            message = f"The function accepts {', '.join(allowed)}."
            await answer.refuse(405, message, "BAD_REQUEST", headers={"allow": ", ".join(allowed)})
            return
        self._invocations.check_invocable(function)
        if times_passed(scope) >= MAX_TIMES_PASSED:
            await answer.refuse(508, "The call came round again: the function leads back here.", INVOCATION_ERROR)
            return
        length = _declared_length(scope)
        if length is not None and length > MAX_REQUEST_BYTES:
            message = f"The request's body is longer than {MAX_REQUEST_BYTES} bytes."
            await answer.refuse(413, message, PayloadTooLargeError.code)
            return
        if length == 0:
            body.skip_rest()
        call = FunctionCall(
            method=allowed[scope["method"]].value,
            target=target,
            headers=request_headers(scope, f"{PREFIX}{function_id}"),
            body=None if length == 0 else body.pieces(),
        )
        is_whole = False
        try:
            async with self._invocations.stream(function, call) as invocation:
                await answer.pass_on(invocation)
                is_whole = True
        except UpstreamError:
            if not is_whole:
                raise
            # The log could not be stored, which the recorder has told the operator; the caller has its answer.
        await answer.end()


class _Answer:
    """What goes out to the caller, and whether anything has."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.has_started = False

    async def pass_on(self, invocation: Invocation) -> None:
        """Send a function's answer but for its end."""
        answer = invocation.answer
        headers = response_headers(answer.headers, answer.status_code)
        await self._start({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        async for chunk in invocation.chunks():
            if self._scope["method"] != "HEAD":
                invocation.waits_for_caller = True
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
                invocation.waits_for_caller = False

    async def end(self) -> None:
        """Send the end; an answer without it is cut off, which shows the caller that it is not whole."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(
        self,
        status: int,
        message: str,
        code: str,
        details: dict[str, object] | None = None,
        *,
        headers: dict[str, str] | None = None,
        retryable: bool = False,
    ) -> None:
        """Send an error of the gateway's, where nothing else was sent."""
        if self.has_started:
            return
        extensions: dict[str, object] = {"code": code, "retryable": retryable}
        if details:
            extensions["details"] = details
        content = orjson.dumps({"errors": [{"message": message, "extensions": extensions}]})
        response = Response(content, status, {"cache-control": "no-store", **(headers or {})}, "application/json")
        await self._start({"type": "http.response.start", "status": status, "headers": response.raw_headers})
        await self._send({"type": "http.response.body", "body": content, "more_body": False})

    async def _start(self, message: Message) -> None:
        self.has_started = True
        await self._send(message)


async def _stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _split(scope: Scope) -> tuple[str, bytes]:
    """The function's id, and path and query exactly as they came."""
    raw = scope["raw_path"].decode("latin-1")
    function_id, _, rest = raw.removeprefix("/").partition("/")[2].partition("/")
    query = scope["query_string"].decode("latin-1")
    target = f"/{rest}?{query}" if query else f"/{rest}"
    return unquote(function_id), quote(target, safe=PRINTABLE, encoding="latin-1").encode()


def _allowed_methods(function: FunctionRecord) -> dict[str, HttpMethod]:
    """What callers may use, and what the function gets for it: a GET is also asked for by HEAD."""
    allowed = {method.value: method for method in function.http_methods}
    if HttpMethod.GET in function.http_methods:
        allowed.setdefault("HEAD", HttpMethod.GET)
    return allowed


def _declared_length(scope: Scope) -> int | None:
    """Of the request's body: 0 where there is none, None where only its end will show it."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return None
    return int(headers.get(b"content-length", b"0"))
