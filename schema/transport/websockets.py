"""GraphQL over WebSocket: graphql-transport-ws and nothing else.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md has the messages and the closing codes (44xx).
Strawberry's handler does the protocol; here is what it leaves open: malformed messages, codes on every error,
and silence in the log when a client goes away. When the server drains, uvicorn closes the sockets with 1012.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.schema.schema import StreamResult
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage
from strawberry.types import ExecutionResult

from schema.context import Context
from schema.errors import BAD_REQUEST, coded, log_unexpected
from schema.transport.encoding import encode_json
from schema.transport.results import is_request_error

MAX_REASON_BYTES = 123
"""What fits into a close frame beside its code (RFC 6455, 5.5)."""


class TextWebSocket(ASGIWebSocketAdapter):
    """A socket that sends text frames, and reports one that is gone as such."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message; a closed socket is WebSocketDisconnected."""
        if self.ws.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected
        try:
            await self.ws.send_text(encode_json(message).decode())
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close the socket unless it is closed; a long reason is cut."""
        if self.ws.application_state is not WebSocketState.CONNECTED:
            return
        cut = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            await self.ws.close(code=code, reason=cut)
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error


class TransportWSHandler(BaseGraphQLTransportWSHandler[Context, None]):
    """One connection."""

    async def handle_message(self, message: Message) -> None:
        """Check the shape of a message, then handle it; a wrong one closes the socket with 4400."""
        problem = _problem_of(message)
        if problem is not None:
            await self.handle_invalid_message(problem)
            return
        if message["type"] == "connection_init" and message.get("payload", {}) is None:
            message["payload"] = {}
        await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Start an operation, unless the connection has as many as it may."""
        limit = self.max_subscriptions_per_connection
        is_new = self.connection_acknowledged and message["id"] not in self.operations
        if is_new and limit is not None and len(self.operations) >= limit:
            error = coded(GraphQLError(f"A connection may run {limit} operations at a time."), BAD_REQUEST)
            await self.send_message({"id": message["id"], "type": "error", "payload": [error.formatted]})
            return
        await super().handle_subscribe(message)

    async def _send_result_stream(self, operation: Operation[Context, None], result_source: StreamResult) -> None:
        """Send the results; an operation that fails as a whole ends with `error`.

        Strawberry would send such a failure as a result and `complete` after it, which clients take for success,
        and close the socket, other operations and all, on a syntax error.
        """
        async for result in result_source:
            if not isinstance(result, ExecutionResult):
                raise TypeError(f"{type(result).__name__} can't be sent over graphql-transport-ws")
            if is_request_error(result):
                await operation.send_initial_errors(result.errors or [])
                return
            await operation.send_next(result)
            # Sending does not wait: a subscription that always has a result must not hold the loop.
            await asyncio.sleep(0)

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what goes wrong in an operation's task; that the client is gone is nothing wrong."""
        if not isinstance(error, WebSocketDisconnected):
            log_unexpected(error, "a WebSocket operation")


def _problem_of(message: Any) -> str | None:
    """Say what is wrong with the shape of a message."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is an object with a type"
    kind = message["type"]
    if kind in ("subscribe", "complete") and not (isinstance(message.get("id"), str) and message["id"]):
        return f"A {kind} message has an id"
    if kind == "subscribe":
        payload = message.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            return "A subscribe message has a payload with a query"
        for name, expected in (("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(payload.get(name), expected | None):
                return f"The payload's {name} has the wrong type"
    return None
