"""Results and errors as HTTP responses: their bodies, statuses and media types."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from gateway.errors import OperationTimeoutError
from schema.errors import INTERNAL_SERVER_ERROR
from schema.transport.encoding import encode_json
from schema.transport.negotiation import GRAPHQL_JSON, Accepted

_STATUSES = {INTERNAL_SERVER_ERROR: 500, OperationTimeoutError.code: 504}
"""Statuses of operations without data that are not the caller's fault; 400 for all others."""


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the operation failed as a whole: it never ran, or its stream broke; no field is to blame."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and bool(result.errors) and not any(error.path for error in result.errors or ())


def response_body(result: ExecutionResult) -> dict[str, Any]:
    """Make the response of a result; `data` is left out when the operation failed as a whole."""
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if not is_request_error(result):
        body["data"] = result.data
    if result.extensions:
        body["extensions"] = result.extensions
    return body


class EncodedResult:
    """A result that is encoded once, for any number of subscribers."""

    __slots__ = ("body", "is_failure", "result")

    def __init__(self, result: ExecutionResult) -> None:
        self.result = result
        self.is_failure = is_request_error(result)
        self.body = encode_json(response_body(result))


def may_be_tried_again(result: ExecutionResult | EncodedResult) -> bool:
    """Whether the operation failed as a whole, and all that stood in its way may pass."""
    failed = result.result if isinstance(result, EncodedResult) else result
    errors = failed.errors or ()
    return is_request_error(failed) and all((error.extensions or {}).get("retryable") for error in errors)


def json_of(result: ExecutionResult | EncodedResult) -> object:
    """What stands for a result in JSON that is yet to be encoded."""
    return orjson.Fragment(result.body) if isinstance(result, EncodedResult) else response_body(result)


def result_response(accepted: Accepted, result: ExecutionResult) -> Response:
    """Answer with a result: 200, but for application/graphql-response+json without data."""
    body = response_body(result)
    status = 200
    if accepted.media_type == GRAPHQL_JSON and "data" not in body:
        status = next((_STATUSES.get(error["extensions"]["code"], 400) for error in body["errors"]), 400)
    return Response(encode_json(body), status, media_type=accepted.media_type)


def error_response(
    accepted: Accepted,
    status: int,
    message: str,
    extensions: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with an error of the HTTP layer."""
    body = {"errors": [{"message": message, "extensions": extensions}]}
    return Response(encode_json(body), status, headers, media_type=accepted.media_type)
