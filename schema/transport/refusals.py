"""Answers to requests that can't be served as they are, and how the answer to a body that is too long arrives."""

import asyncio
import contextlib
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.errors import OperationTimeoutError, PayloadTooLargeError
from schema.errors import BAD_REQUEST

DISCARD_S = 2.0
"""How long what still comes of a body is discarded after the answer. A connection that is closed at once is reset,
and a client that is still sending would not see why; 50 MB take less than this within a region."""


class RequestError(Exception):
    """The request can't be served as it is; answered with `status`, `reason` and `code`."""

    retryable = False

    def __init__(
        self, status: int, reason: str, code: str = BAD_REQUEST, headers: Mapping[str, str] | None = None
    ):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.code = code
        self.headers = dict(headers or {})


class TooLargeError(RequestError):
    """The body, or a file of it, is longer than it may be; the connection is closed after the answer."""

    def __init__(self, reason: str):
        super().__init__(413, reason, PayloadTooLargeError.code, {"connection": "close"})


class BusyError(RequestError):
    """The request can be served, but not now."""

    retryable = True

    def __init__(self, reason: str):
        super().__init__(503, reason, OperationTimeoutError.code)


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the whole answer at once, and end it when the body has ended or has been discarded for long enough."""

    async def hold_open(message: Message) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await response(scope, receive, hold_open)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while (await receive()).get("more_body", False):  # a disconnect has none
                pass
    await send({"type": "http.response.body", "body": b""})
