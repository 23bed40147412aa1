"""GraphQL over WebSocket: graphql-transport-ws and nothing else.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md has the messages and the closing codes (44xx).
When the server drains, it closes the sockets with 1012 below this. A connection has the one task that ASGI gives
it, and one more for each operation that has results of its own; to follow a broadcast takes none.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from functools import partial
from json import JSONDecodeError
from typing import Any, ClassVar

from graphql import GraphQLError
from starlette.types import Receive, Scope, Send
from strawberry.http import GraphQLRequestData

from schema.errors import BAD_REQUEST, MASKED_MESSAGE, coded, log_unexpected, masked_extensions
from schema.transport.broadcasts import Follower
from schema.transport.encoding import decode_json
from schema.transport.messages import ACK, PONG, complete_message, error_message, next_head, problem_of
from schema.transport.operations import Operations, Shared
from schema.transport.results import EncodedResult, is_request_error

MAX_OPERATIONS = 100
"""Of one connection. A page watches a handful of builds; this is for dashboards, and keeps one client from taking
all memory."""
INIT_TIMEOUT_S = 10.0
"""How long a socket may stay without connection_init; clients send it at once."""
MAX_REASON_BYTES = 123
"""What fits into a close frame beside its code (RFC 6455, 5.5)."""
POST = "websocket.post"
"""The extension of ASGI by gateway/sockets.py: its `post` writes text now, or says that the client is behind."""


class Connection:
    """One socket that was accepted."""

    init_timeout_s: ClassVar[float] = INIT_TIMEOUT_S
    __slots__ = (
        "_acknowledged",
        "_closed",
        "_init_timer",
        "_operations",
        "_post",
        "_receive",
        "_running",
        "_send",
        "_tasks",
    )

    def __init__(self, operations: Operations, scope: Scope, receive: Receive, send: Send) -> None:
        self._operations = operations
        self._receive = receive
        self._send = send
        self._post = (scope.get("extensions") or {}).get(POST, {}).get("post")
        self._running: dict[str, asyncio.Task[None] | SocketFollower] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """What is sent to a client that is behind."""
        self._acknowledged = self._closed = False
        self._init_timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve the client until it leaves."""
        self._init_timer = asyncio.get_running_loop().call_later(self.init_timeout_s, self._give_up)
        try:
            while not self._closed:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._take(message.get("text"))
        except OSError:
            return  # it left while something was sent
        finally:
            await self._end()

    async def send(self, message: bytes) -> None:
        """Send a message as soon as the client has room; OSError when it is gone, or the socket was closed."""
        try:
            await self._send({"type": "websocket.send", "text": message.decode()})
        except RuntimeError as error:
            if self._closed:  # before this, or while it waited
                raise ConnectionAbortedError("the socket was closed") from error
            raise

    def post(self, message: bytes) -> bool:
        """Send a message now; False, and nothing is sent, where the client is behind."""
        return self._post is not None and not self._closed and self._post(message)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket unless it is closed; a long reason is cut."""
        if not self._closed:
            self._closed = True
            cut = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
            await self._send({"type": "websocket.close", "code": code, "reason": cut})

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what has to wait for the client, unless that leaves before."""

        async def until_it_left() -> None:
            with suppress(OSError):
                await work()

        task = asyncio.create_task(until_it_left())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self, id_: str, last: bytes) -> None:
        """Forget an operation that is over, and say so."""
        operation = self._running.pop(id_, None)
        if isinstance(operation, SocketFollower):
            operation.broadcast.leave(operation)
        if not self.post(last):
            self.later(partial(self.send, last))

    async def _end(self) -> None:
        if self._init_timer is not None:
            self._init_timer.cancel()
        tasks = [*self._tasks]
        for operation in self._running.values():
            if isinstance(operation, SocketFollower):
                operation.broadcast.leave(operation)
            else:
                tasks.append(operation)
        self._running.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task  # what it holds is released before the connection is

    def _give_up(self) -> None:
        self.later(partial(self.close, 4408, "Connection initialisation timeout"))

    async def _take(self, text: str | None) -> None:
        """Handle a message; one that is none of the protocol closes the socket with 4400."""
        if text is None:
            await self.close(4400, "WebSocket message type must be text")
            return
        try:
            message = decode_json(text)
        except JSONDecodeError:
            await self.close(4400, "WebSocket message must be valid JSON")
            return
        problem = problem_of(message)
        if problem is not None:
            await self.close(4400, problem)
            return
        match message["type"]:
            case "connection_init":
                await self._acknowledge()
            case "ping":
                await self.send(PONG)
            case "subscribe":
                await self._subscribe(message["id"], message["payload"])
            case "complete":
                operation = self._running.pop(message["id"], None)
                if isinstance(operation, SocketFollower):
                    operation.broadcast.leave(operation)
                elif operation is not None:
                    operation.cancel()

    async def _acknowledge(self) -> None:
        if self._acknowledged:
            await self.close(4429, "Too many initialisation requests")
            return
        self._acknowledged = True
        if self._init_timer is not None:
            self._init_timer.cancel()
            self._init_timer = None
        await self.send(ACK)

    async def _subscribe(self, id_: str, payload: dict[str, Any]) -> None:
        if not self._acknowledged:
            await self.close(4401, "Unauthorized")
        elif id_ in self._running:
            await self.close(4409, f"Subscriber for {id_} already exists")
        elif len(self._running) >= MAX_OPERATIONS:
            error = GraphQLError(f"A connection may run {MAX_OPERATIONS} operations at a time.")
            await self.send(error_message(id_, [coded(error, BAD_REQUEST)]))
        else:
            request = GraphQLRequestData(
                query=payload["query"],
                variables=payload.get("variables"),
                operation_name=payload.get("operationName"),
                extensions=payload.get("extensions"),
            )
            self._running[id_] = asyncio.create_task(self._operate(id_, request))

    async def _operate(self, id_: str, request: GraphQLRequestData) -> None:
        """Run an operation to its end, or have it follow a broadcast from here on."""
        try:
            started = await self._operations.start(request)
            if isinstance(started, Shared):
                follower = self._running[id_] = SocketFollower(self, id_, started.seen)
                started.join(follower)
                return
            async with aclosing(started) as results:
                async for result in results:
                    if is_request_error(result):
                        self.end(id_, error_message(id_, result.errors or []))
                        return
                    await self.send(next_head(id_) + EncodedResult(result).body + b"}")
                    # Sending does not wait: a subscription that always has a result must not hold the loop.
                    await asyncio.sleep(0)
            self.end(id_, complete_message(id_))
        except OSError:
            return  # the client is gone
        except Exception as error:
            error_id = log_unexpected(error, "a WebSocket operation")
            self.end(
                id_, error_message(id_, [GraphQLError(MASKED_MESSAGE, extensions=masked_extensions(error_id))])
            )


class SocketFollower(Follower):
    """An operation of a connection that follows a broadcast."""

    __slots__ = ("_connection", "_head", "_id")

    def __init__(self, connection: Connection, id_: str, seen: int | None) -> None:
        super().__init__(seen)
        self._connection = connection
        self._id = id_
        self._head = next_head(id_)

    def take(self, result: EncodedResult) -> bool:
        """Send it, at once where the client is not behind."""
        if result.is_failure:
            self._connection.end(self._id, error_message(self._id, result.result.errors or []))
            return False
        message = b"%b%b}" % (self._head, result.body)
        if self._connection.post(message):
            return True
        self._connection.later(partial(self._send_late, message))
        return False

    def finish(self) -> None:
        """Say that it is complete."""
        self._connection.end(self._id, complete_message(self._id))

    async def _send_late(self, message: bytes) -> None:
        await self._connection.send(message)
        self.broadcast.wait(self)
