"""Uploads: https://github.com/jaydenseric/graphql-multipart-request-spec, without batches.

Files are spooled to the temporary folder as they come, and counted: of a body no more than a part is in memory.
The folder has room for some uploads at a time; the others wait for their turn.
"""

import asyncio
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from schema.transport.refusals import BusyError, RequestError, TooLargeError
from schema.transport.requests import BodyTooLongError, parse_json

PREFLIGHT_HEADERS = ("apollo-require-preflight", "graphql-require-preflight", "x-requested-with")
"""Any of these shows that a browser asked for permission first: a form on another site can't set them."""
MAX_FILES = 10
"""Files of one request; the schema's uploads take one."""
MAX_UPLOADS = 20
"""Of a replica at a time, each until its answer has ended; one more waits for 10 s. The chart gives /tmp that much
room."""
TURN_TIMEOUT_S = 10.0
"""How long an upload waits for its turn: less than clients do, and than what watches that its body comes."""


class UploadTurns:
    """Lets so many uploads in at a time, in the order they came."""

    def __init__(self, count: int = MAX_UPLOADS, *, timeout_s: float = TURN_TIMEOUT_S) -> None:
        self._count = count
        self._free = asyncio.Semaphore(count)
        self._timeout_s = timeout_s

    async def take(self) -> None:
        """Wait for a turn; BusyError when none comes in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise BusyError(
                f"The gateway takes {self._count} uploads at a time, and this one had no turn within "
                f"{self._timeout_s:g} s: try again."
            ) from error

    def give_back(self) -> None:
        """Let the next one in."""
        self._free.release()


class UploadRequest(Request):
    """A request that owns the files which were read from it, and its turn; both end with it."""

    form_data: FormData | None = None
    turns: UploadTurns | None = None

    async def wait_for_turn(self, turns: UploadTurns) -> None:
        """Take a turn; nothing of the body is read before."""
        await turns.take()
        self.turns = turns

    async def close(self) -> None:
        """Close the files, and give the turn back."""
        try:
            if self.form_data is not None:
                await self.form_data.close()
            await super().close()
        finally:
            if self.turns is not None:
                self.turns.give_back()


class CountingParser(MultiPartParser):
    """Starlette's parser, which stops at the byte that makes the files together longer than `max_file_bytes`."""

    def __init__(self, headers: Headers, request: Request, *, max_file_bytes: int, max_field_bytes: int) -> None:
        super().__init__(
            headers, request.stream(), max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=max_field_bytes
        )
        self._max_file_bytes = max_file_bytes
        self._file_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Count what belongs to a file; the parser bounds the fields itself."""
        if self._current_part.file is not None:
            self._file_bytes += end - start
            if self._file_bytes > self._max_file_bytes:
                raise BodyTooLongError(
                    f"The upload is longer than the {self._max_file_bytes} bytes of MAX_UPLOAD_BYTES."
                )
        super().on_part_data(data, start, end)


async def read_multipart(
    request: UploadRequest, turns: UploadTurns, *, max_file_bytes: int, max_field_bytes: int
) -> object:
    """Read the operation with its files in their places, when its turn has come; BusyError when it does not.

    TooLargeError as soon as the files are too long.
    """
    if not any(header in request.headers for header in PREFLIGHT_HEADERS):
        raise RequestError(403, f"Multipart requests need one of the headers {', '.join(PREFLIGHT_HEADERS)}.")
    await request.wait_for_turn(turns)
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
