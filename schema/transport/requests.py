"""Reading requests: GET parameters and JSON bodies, within their limits; uploads are uploads.py's.

What can't be read is a RequestError, whose status and code the view answers with.
"""

from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive
from strawberry.http import GraphQLRequestData

from schema.transport.encoding import decode_json
from schema.transport.refusals import RequestError, TooLargeError


class BodyTooLongError(MultiPartException):
    """Too much comes; the multipart parser closes its files on its own kind of error only."""


class BodyLimit:
    """A request's `receive` that ends the reading of a body as soon as it is longer than `max_bytes`."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._received_bytes = 0
        self._max_bytes = max_bytes
        self._bound_by = "MAX_CODE_BYTES"

    def allow_files(self, max_bytes: int) -> None:
        """Let the body have files of so many bytes besides."""
        self._max_bytes += max_bytes
        self._bound_by = "MAX_UPLOAD_BYTES"

    async def __call__(self) -> Message:
        """Receive the next message; too long a body is a BodyTooLongError."""
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > self._max_bytes:
            raise BodyTooLongError(self._words())
        return message

    def check_length(self, content_length: str | None) -> None:
        """Refuse a body by the length it announces, before any of it is read: TooLargeError."""
        if content_length is not None and content_length.isdecimal() and int(content_length) > self._max_bytes:
            raise TooLargeError(self._words())

    def _words(self) -> str:
        return f"The body is longer than the {self._max_bytes} bytes it may have ({self._bound_by} bounds it)."


def content_type_of(request: Request) -> str:
    """Find the media type of the body; empty when it is in another encoding than UTF-8, which none of ours has."""
    media_type, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    return "" if any(charset not in ("utf-8", "utf8") for charset in charsets) else media_type


async def read_json(request: Request) -> object:
    """Read a JSON body."""
    try:
        body = await request.body()
    except BodyTooLongError as error:
        raise TooLargeError(error.message) from error
    return parse_json(body, "body")


def parse_json(text: str | bytes, what: str) -> object:
    """Read JSON; what is wrong with it is a RequestError that names `what`."""
    try:
        return decode_json(text)
    except JSONDecodeError as error:
        raise RequestError(400, f"The {what} is not valid JSON: {error.msg}.") from error


def request_data(parameters: object) -> GraphQLRequestData:
    """Check the parameters of a request: a query, and what may go with it."""
    if isinstance(parameters, list):
        raise RequestError(400, "Batches are not enabled: send each operation in a request of its own.")
    if not isinstance(parameters, dict):
        raise RequestError(400, "The body has to be a JSON object with a query.")
    for name, kind, words in (
        ("query", str, "a string"),
        ("operationName", str, "a string"),
        ("variables", dict, "an object"),
        ("extensions", dict, "an object"),
    ):
        if not isinstance(parameters.get(name), kind | None):
            raise RequestError(400, f"The parameter {name} has to be {words}.")
    if not parameters.get("query"):
        raise RequestError(400, "The request has no query.")
    return GraphQLRequestData(
        query=parameters["query"],
        variables=parameters.get("variables"),
        operation_name=parameters.get("operationName"),
        extensions=parameters.get("extensions"),
    )


def query_parameters(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Read the parameters of a GET request, two of which are JSON."""
    read: dict[str, Any] = dict(parameters)
    for name in ("variables", "extensions"):
        if name in read:
            read[name] = parse_json(read[name], f"parameter {name}") if read[name] else None
    return read
