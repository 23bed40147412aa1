"""Answers that stay open: event streams (graphql-sse, distinct connections) and multipart subscriptions.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md and
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol

A stream that ends without `complete` was cut, and clients connect again; so that is how a draining server ends it,
and what ends a subscription that may go on with another try. Then its last result says what went wrong.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, ClassVar, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLHTTPResponse
from strawberry.http.streaming import MultipartSubscriptionTransport, SSETransport

from schema.errors import log_unexpected
from schema.transport.encoding import encode_json
from schema.transport.results import may_be_tried_again


class EventStream(SSETransport):
    """Server-sent events; their lines end with LF, since urql reads no others."""

    opening: ClassVar[str] = ": open\n\n"
    """A comment, so that the client and the proxies between see that the stream is there."""

    def encode_event(self, event: str, data: str | None = None) -> str:
        """Make an event of JSON on one line."""
        return f"event: {event}\ndata: {data or ''}\n\n"

    def encode_comment(self, comment: str) -> str:
        """Make a comment, which clients skip."""
        return f": {comment}\n\n"


class MultipartStream(MultipartSubscriptionTransport):
    """Parts of a multipart body; each part ends with the delimiter of the next."""

    opening: ClassVar[str] = "--graphql"

    def encode_complete(self) -> str:
        """Make the last delimiter the closing one."""
        return "--\r\n"


Format = Callable[[Any], object]


class StreamResponse(Response):
    """The results of one operation, each sent as soon as it is there.

    It ends with the operation (saying so), when the client goes away, or when `draining` is set (saying nothing);
    that is given for subscriptions, which are taken up again. In each case the operation's generator has been
    closed when the response is over.
    """

    def __init__(
        self,
        results: AsyncGenerator[Any, None],
        transport: EventStream | MultipartStream,
        *,
        format_result: Format,
        draining: asyncio.Event | None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers({key.lower(): value for key, value in transport.headers.items()})
        del self.headers["content-length"]
        self._results = results
        self._transport = transport
        self._format = format_result
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        """Stream until the first of: the operation's end, the client's leaving, the server's draining."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _send_text(send, self._transport.opening)
        tasks: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._write(send)),
            asyncio.create_task(self._keep_alive(send)),
            asyncio.create_task(_until_disconnected(receive)),
        }
        if self._draining is not None:
            tasks.add(asyncio.create_task(self._draining.wait()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, OSError):  # uvicorn's for a lost client
                log_unexpected(outcome, "a stream")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        goes_on = False
        async with aclosing(self._results) as results:
            async for result in results:
                response = cast("GraphQLHTTPResponse", self._format(result))
                await _send_text(send, self._transport.encode_next(response, _encode_text))
                # Sending does not wait, nor fail when the client is gone: let the other tasks see that.
                await asyncio.sleep(0)
                goes_on = self._draining is not None and may_be_tried_again(result)
        if not goes_on:
            await _send_text(send, self._transport.encode_complete())

    async def _keep_alive(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._transport.heartbeat_interval)
            await _send_text(send, self._transport.heartbeat_message(_encode_text))


def _encode_text(value: object) -> str:
    return encode_json(value).decode()


async def _send_text(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
