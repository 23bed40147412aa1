"""POST /api/workspaces/{ws}/functions/{fn}/invoke: the former backend's call, answers and errors.

The body is POSTed to the function whatever methods it accepts, and the ExecutionLog is the answer. Errors are
`{"error": {"code", "message", "details": {"field"}}}`.
"""

import logging
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.errors import (
    FunctionDisabledError,
    GatewayError,
    InvalidInputError,
    NotDeployedError,
    NotFoundError,
    PayloadTooLargeError,
)
from gateway.records.clock import KST
from gateway.records.execution_logs import ExecutionLogRecord
from gateway.records.functions import HttpMethod
from gateway.services.bodies import is_json
from gateway.services.calls import TIMED_OUT, UNREACHABLE
from gateway.services.invocations import InvocationService
from gateway.services.validation import check_workspace_id

PATH = "/api/workspaces/{workspace_id}/functions/{function_id}/invoke"
STATUSES = {
    InvalidInputError: 400,
    NotDeployedError: 400,
    FunctionDisabledError: 403,
    NotFoundError: 404,
    PayloadTooLargeError: 413,
}
FAILURES = {TIMED_OUT: "TIMEOUT", UNREACHABLE: "INVOCATION_ERROR"}
"""Codes of a function that did not answer; one that answers 503 itself has an answer in its log."""

logger = logging.getLogger(__name__)


class FormerInvokeRoute:
    """The route; `max_body_bytes` bounds what is sent to a function."""

    def __init__(self, invocations: InvocationService, max_body_bytes: int) -> None:
        self._invocations = invocations
        self._max_body_bytes = max_body_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer a call, whatever happens."""
        if request.method != "POST":
            return _error(405, "METHOD_NOT_ALLOWED", "Functions are invoked with POST.", headers={"allow": "POST"})
        try:
            log = await self._invoke(request)
        except GatewayError as error:
            status = STATUSES.get(type(error))
            if status is None:
                logger.warning("%s: %s", error.code, error.message)
                return _error(500, "EXECUTION_ERROR", error.message)
            return _error(status, error.code, error.message, field=error.field)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception:
            logger.exception("unexpected error in %s", request.url.path)
            return _error(500, "EXECUTION_ERROR", "Internal server error")
        if log.logs and log.status_code in FAILURES:
            return _error(log.status_code, FAILURES[log.status_code], log.logs[-1])
        return Response(orjson.dumps(_former_json(log)), media_type="application/json")

    async def _invoke(self, request: Request) -> ExecutionLogRecord:
        workspace_id = check_workspace_id(request.path_params["workspace_id"], field="workspace_id")
        function = await self._invocations.find(request.path_params["function_id"])
        if function.workspace_id != workspace_id:
            raise NotFoundError(f"There is no function {function.id} in {workspace_id}.", field="functionId")
        self._invocations.check_invocable(function)
        body = await self._read(request)
        return await self._invocations.send(function, method=HttpMethod.POST, target=b"/", body=body)

    async def _read(self, request: Request) -> str | None:
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > self._max_body_bytes:
                message = f"The body is longer than the {self._max_body_bytes} bytes it may have."
                raise PayloadTooLargeError(message, field="body")
        if not content.strip():
            return None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError("The body is not UTF-8.", field="body") from error
        if not is_json(text):
            raise InvalidInputError("The body is not valid JSON.", field="body")
        return text


def former_invoke_route(endpoint: Any) -> Route:
    """Make the route; `endpoint` is called with each request."""
    return Route(PATH, endpoint, methods=[method.value for method in HttpMethod])


def _former_json(log: ExecutionLogRecord) -> dict[str, Any]:
    """A log as the former backend answered it; the bodies go out as they are."""
    return {
        "id": log.id,
        "functionId": log.function_id,
        "timestamp": log.timestamp.astimezone(KST).isoformat(),
        "status": log.status.value,
        "duration": log.duration_ms,
        "statusCode": log.status_code,
        "requestBody": None if log.request_body is None else orjson.Fragment(log.request_body),
        "responseBody": None if log.response_body is None else orjson.Fragment(log.response_body),
        "logs": log.logs,
        "level": log.level.value,
    }


def _error(
    status: int, code: str, message: str, *, field: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    error: dict[str, Any] = {"code": code, "message": message}
    if field is not None:
        error["details"] = {"field": field}
    return Response(orjson.dumps({"error": error}), status, headers, media_type="application/json")
