"""Reading requests: GET parameters, JSON bodies and multipart uploads, each within its limit.

What can't be read is a RequestError, whose status and code the view answers with.
"""

from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive
from strawberry.http import GraphQLRequestData

from gateway.errors import PayloadTooLargeError
from schema.errors import BAD_REQUEST
from schema.transport.encoding import decode_json

PREFLIGHT_HEADERS = ("apollo-require-preflight", "graphql-require-preflight", "x-requested-with")
"""Any of these shows that a browser asked for permission first: a form on another site can't set them."""
MAX_FILES = 10
"""Files of one request; the schema's uploads take one."""


class RequestError(Exception):
    """The request can't be served as it is; answered with `status`, `reason` and `code`."""

    def __init__(
        self, status: int, reason: str, code: str = BAD_REQUEST, headers: Mapping[str, str] | None = None
    ):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.code = code
        self.headers = dict(headers or {})


class BodyLimit:
    """A request's `receive` that ends the reading of a body as soon as it is longer than `max_bytes`."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._received_bytes = 0
        self.max_bytes = max_bytes

    async def __call__(self) -> Message:
        """Receive the next message; too long a body is a RequestError (413)."""
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self.is_exceeded:
            # The multipart parser closes its temporary files on its own exception only.
            raise _BodyTooLong(self.error().reason)
        return message

    @property
    def is_exceeded(self) -> bool:
        """Whether the body was longer than it may be."""
        return self._received_bytes > self.max_bytes

    def check_length(self, content_length: str | None) -> None:
        """Refuse a body by the length it announces, before any of it is read."""
        if content_length is not None and content_length.isdecimal() and int(content_length) > self.max_bytes:
            raise self.error()

    def error(self) -> RequestError:
        """Make the error for a body that is too long."""
        message = f"The body is longer than the {self.max_bytes} bytes it may have."
        return RequestError(413, message, PayloadTooLargeError.code)


class _BodyTooLong(MultiPartException):
    pass


def content_type_of(request: Request) -> str:
    """Find the media type of the body; empty when it is in another encoding than UTF-8, which none of ours has."""
    media_type, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    return "" if any(charset not in ("utf-8", "utf8") for charset in charsets) else media_type


async def read_json(request: Request, limit: BodyLimit) -> object:
    """Read a JSON body."""
    try:
        body = await request.body()
    except _BodyTooLong as error:
        raise limit.error() from error
    return parse_json(body, "body")


def parse_json(text: str | bytes, what: str) -> object:
    """Read JSON; what is wrong with it is a RequestError that names `what`."""
    try:
        return decode_json(text)
    except JSONDecodeError as error:
        raise RequestError(400, f"The {what} is not valid JSON: {error.msg}.") from error


async def read_multipart(request: Request, limit: BodyLimit, max_field_bytes: int) -> object:
    """Read an upload: https://github.com/jaydenseric/graphql-multipart-request-spec, without batches.

    The request owns the files; they are closed with it.
    """
    if not any(header in request.headers for header in PREFLIGHT_HEADERS):
        raise RequestError(403, f"Multipart requests need one of the headers {', '.join(PREFLIGHT_HEADERS)}.")
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=max_field_bytes)
    except (MultiPartException, HTTPException) as error:  # within an app, Starlette makes the one the other
        if limit.is_exceeded:
            raise limit.error() from error
        raise RequestError(400, f"The multipart body can't be read: {_words_of(error)}") from error
    operations, files_map = (_json_field(form.get(name), name) for name in ("operations", "map"))
    if not isinstance(operations, dict) or not isinstance(files_map, dict):
        raise RequestError(400, "The fields operations and map have to be JSON objects.")
    for name, paths in files_map.items():
        file = form.get(name)
        if not isinstance(file, UploadFile):
            raise RequestError(400, f"The map names {name!r}, which is no file of the request.")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise RequestError(400, "The map has to give a list of paths for each file.")
        for path in paths:
            _place(operations, path, file)
    return operations


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


def _json_field(value: object, name: str) -> object:
    if not isinstance(value, str):
        raise RequestError(400, f"The multipart body has no field {name}.")
    return parse_json(value, f"field {name}")


def _words_of(error: MultiPartException | HTTPException) -> str:
    return error.message if isinstance(error, MultiPartException) else error.detail


def _place(operations: dict[str, Any], path: str, file: UploadFile) -> None:
    """Put a file where the map says; null has to be there, below the variables."""
    *parents, last = path.split(".")
    target: Any = operations
    key_or_index: int | str = last
    found: object = path
    try:
        for key in parents:
            target = target[int(key)] if isinstance(target, list) else target[key]
        key_or_index = int(last) if isinstance(target, list) else last
        found = target[key_or_index]
    except (KeyError, IndexError, ValueError, TypeError):
        pass  # the map leads nowhere
    if parents[:1] != ["variables"] or found is not None:
        raise RequestError(400, f"The map's path {path!r} leads to no null in the variables.")
    target[key_or_index] = file
