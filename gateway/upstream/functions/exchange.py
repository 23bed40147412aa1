"""One request and its answer on a connection: the answer is read while the request's body is still being sent.

A function may answer before it has all of the body, or instead of reading it, and may answer piece by piece. HTTP
is h11's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass

import h11

from gateway.upstream.functions.connections import Connection

MAX_HEAD_BYTES = 100 * 1024
"""Of an answer's head, and of its trailers."""

RawHeaders = list[tuple[bytes, bytes]]
Body = AsyncGenerator[bytes, None] | bytes


class UnreachableError(Exception):
    """The function could not be connected to, broke off, or is where nothing may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionResponse:
    """What a function answers; the body comes as it is sent, content encoding included."""

    status_code: int
    headers: RawHeaders
    """Names in the case the function gave them; no length beside a transfer encoding, which overrides it."""
    body: AsyncIterator[bytes]
    """Raises UnreachableError where the function breaks off, and what the request's body raises."""


@asynccontextmanager
async def exchange(connection: Connection, request: h11.Request, body: Body) -> AsyncIterator[FunctionResponse]:
    """Send a request and answer the head of what comes back; at the block's end the rest of both is left.

    Raises as the body of the answer does. A body that is a generator is closed when no more of it is wanted.
    """
    under_way = _Exchange(connection)
    sending = asyncio.create_task(under_way.send(request, body))
    try:
        yield await under_way.answer()
    finally:
        sending.cancel()
        await asyncio.wait({sending})


class _Exchange:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._failure: Exception | None = None

    async def send(self, request: h11.Request, body: Body) -> None:
        """Send it all, unless the function takes no more; where the body fails, so does the answer."""
        try:
            if isinstance(body, bytes):
                await self._send_bytes(request, body)
            else:
                async with aclosing(body):
                    await self._send_pieces(request, body)
        except h11.LocalProtocolError as error:
            self._fail(UnreachableError(f"the request is not HTTP: {error}"))
        except _TakesNoMoreError:
            pass  # its answer, or that there is none, says why
        except Exception as error:
            self._fail(error)

    async def answer(self) -> FunctionResponse:
        """The head of the answer; what is only informational is not it."""
        with self._translated():
            while not isinstance(event := await self._next_event(), h11.Response):
                pass
        headers = event.headers.raw_items()
        if any(name.lower() == b"transfer-encoding" for name, _ in headers):
            headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
        return FunctionResponse(status_code=event.status_code, headers=headers, body=self._body())

    async def _body(self) -> AsyncIterator[bytes]:
        with self._translated():
            event = await self._next_event()
        while isinstance(event, h11.Data):
            yield bytes(event.data)
            with self._translated():
                event = await self._next_event()

    async def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._connection.receive()
            if self._failure is not None:
                raise self._failure
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise UnreachableError("it closed the connection without an answer")
            self._http.receive_data(data)
        return event

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, h11.ProtocolError) as error:
            if self._failure is not None:
                raise self._failure from error
            raise UnreachableError(str(error) or type(error).__name__) from error

    async def _send_bytes(self, request: h11.Request, body: bytes) -> None:
        await self._write(request)
        if body:
            await self._write(h11.Data(data=body))
        await self._write(h11.EndOfMessage())

    async def _send_pieces(self, request: h11.Request, body: AsyncIterator[bytes]) -> None:
        await self._write(request)
        async for piece in body:
            await self._write(h11.Data(data=piece))
        await self._write(h11.EndOfMessage())

    async def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        try:
            await self._connection.send(data or b"")
        except OSError as error:
            raise _TakesNoMoreError from error

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._connection.shut()  # wakes who waits for the answer


class _TakesNoMoreError(Exception):
    """The function reads nothing of the request any more."""
