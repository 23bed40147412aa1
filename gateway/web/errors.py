"""Errors of the HTTP layer outside /graphql and /invoke: unknown paths, and methods that a path does not have."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import NotFoundError

BAD_REQUEST = "BAD_REQUEST"
"""The schema's code for requests that can't be served as they are."""


def http_error(request: Request, error: Exception) -> Response:
    """Answer in JSON with a code, as every error of the gateway is."""
    if not isinstance(error, HTTPException):
        raise error
    path, code = request.url.path, BAD_REQUEST
    message = f"{error.detail}: {request.method} {path}"
    if error.status_code == 404:
        code = NotFoundError.code
        message = error.detail  # that of a route; the router's own is the status's phrase
        if message == HTTPStatus.NOT_FOUND.phrase:
            message = f"There is nothing at {path}; GraphQL is served at /graphql."
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "other methods")
        message = f"{path} is not served over {request.method}, but over {allowed}."
    return error_response(error.status_code, code, message, error.headers)


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """One error as an answer."""
    body = {"errors": [{"message": message, "extensions": {"code": code, "retryable": False}}]}
    return Response(orjson.dumps(body), status, headers, "application/json")
