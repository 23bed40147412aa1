"""Uploads: https://github.com/jaydenseric/graphql-multipart-request-spec, without batches.

Files are spooled to the temporary folder as they come, and counted: of a body no more than a part is in memory.
"""

from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from schema.transport.refusals import RequestError, TooLargeError
from schema.transport.requests import BodyTooLongError, parse_json

PREFLIGHT_HEADERS = ("apollo-require-preflight", "graphql-require-preflight", "x-requested-with")
"""Any of these shows that a browser asked for permission first: a form on another site can't set them."""
MAX_FILES = 10
"""Files of one request; the schema's uploads take one."""


class UploadRequest(Request):
    """A request that owns the files which were read from it; they are closed with it."""

    form_data: FormData | None = None

    async def close(self) -> None:
        """Close the files."""
        if self.form_data is not None:
            await self.form_data.close()
        await super().close()


class CountingParser(MultiPartParser):
    """Starlette's parser, which stops at the byte that makes a file longer than `max_file_bytes`."""

    def __init__(self, headers: Headers, request: Request, *, max_file_bytes: int, max_field_bytes: int) -> None:
        super().__init__(
            headers, request.stream(), max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=max_field_bytes
        )
        self._max_file_bytes = max_file_bytes
        self._file_bytes = 0

    def on_part_begin(self) -> None:
        """Count from nothing."""
        super().on_part_begin()
        self._file_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Count what belongs to a file; the parser bounds the fields itself."""
        self._file_bytes += end - start
        if self._current_part.file is not None and self._file_bytes > self._max_file_bytes:
            raise BodyTooLongError(
                f"The file is longer than the {self._max_file_bytes} bytes of MAX_UPLOAD_BYTES."
            )
        super().on_part_data(data, start, end)


async def read_multipart(request: UploadRequest, *, max_file_bytes: int, max_field_bytes: int) -> object:
    """Read the operation with its files in their places; TooLargeError as soon as one is too long."""
    if not any(header in request.headers for header in PREFLIGHT_HEADERS):
        raise RequestError(403, f"Multipart requests need one of the headers {', '.join(PREFLIGHT_HEADERS)}.")
    parser = CountingParser(
        request.headers, request, max_file_bytes=max_file_bytes, max_field_bytes=max_field_bytes
    )
    try:
        form = request.form_data = await parser.parse()
    except BodyTooLongError as error:
        raise TooLargeError(error.message) from error
    except MultiPartException as error:
        raise RequestError(400, f"The multipart body can't be read: {error.message}") from error
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


def _json_field(value: object, name: str) -> object:
    if not isinstance(value, str):
        raise RequestError(400, f"The multipart body has no field {name}.")
    return parse_json(value, f"field {name}")


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
