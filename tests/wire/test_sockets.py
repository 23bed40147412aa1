"""The server's sockets: those that answer pings stay, and a server without our protocol serves them too."""

import asyncio
import time
from contextlib import ExitStack
from typing import cast

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.server import DrainingServer
from gateway.sockets import POST
from schema.context import Resources
from schema.transport.operations import Operations
from schema.transport.websockets import Connection
from tests.wire.app import make_app, make_test_schema
from tests.wire.conftest import Served
from tests.wire.seen import Watched
from tests.wire.sockets import closing_of, opened, subscribe, until_done
from tests.wire.test_connections import SOON_S, served, sockets_answering_pings_soon


def test_sockets_that_answer_pings_stay() -> None:
    """All are pinged, again and again, and one that leaves does not stop that."""
    with served(make_app(Watched(), asyncio.Event()), sockets_answering_pings_soon) as url, ExitStack() as stack:
        seen = Served(f"{url}/graphql", Watched())
        with opened(seen):
            clients = [stack.enter_context(opened(seen)) for _ in range(3)]
        time.sleep(5 * SOON_S)
        for client in clients:
            subscribe(client, "{hello}")
            assert until_done(client)[0]["payload"]["data"] == {"hello": "hello world"}


async def post_lengths(scope: Scope, receive: Receive, send: Send) -> None:
    """Post a text of each length that is asked for, until it is 0."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while length := int((await receive())["text"]):
        assert scope["extensions"][POST]["post"](f"{length:x>{length}}".encode())
    await send({"type": "websocket.close", "code": 1000})


def test_posted_text_of_any_length_arrives_whole() -> None:
    """Where the frame's length takes 1, 2 and 8 bytes; the socket then closes as ever."""
    with (
        served(post_lengths, lambda _: None) as url,
        opened(Served(url, Watched()), init=False, subprotocols=None) as client,
    ):
        for length in (1, 125, 126, 65_535, 65_536, 1_000_000):
            client.send(str(length))
            assert client.recv(timeout=5) == f"{length:x>{length}}"
        client.send("0")
        assert closing_of(client) == (1000, "")


def test_sockets_of_another_server_follow_too() -> None:
    """Without the extension that sends at once, a follower waits for each of its messages to be sent."""

    def adjust(server: DrainingServer) -> None:
        server.config.ws = WebSocketsSansIOProtocol

    notes = 'subscription{notes(topic:"t",after:0){text}}'
    seen = Watched()
    for text in ("one", "two"):
        seen.topics["t"].publish(text)
    seen.topics["t"].ended = True
    with served(make_app(seen, asyncio.Event()), adjust) as url, opened(Served(f"{url}/graphql", seen)) as client:
        subscribe(client, notes)
        *results, last = until_done(client)
    assert [message["payload"]["data"]["notes"]["text"] for message in results] == ["one", "two"]
    assert last == {"id": "1", "type": "complete"}


class HastyConnection(Connection):
    """A connection of little patience."""

    init_timeout_s = 0.05


async def test_socket_without_init_is_closed() -> None:
    """With 4408, and its client is not waited for any longer."""
    closed = asyncio.Event()
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        closed.set()

    async def receive() -> Message:
        await closed.wait()
        return {"type": "websocket.disconnect", "code": 4408}

    operations = Operations(make_test_schema(), cast("Resources", Watched()))
    async with asyncio.timeout(5):
        await HastyConnection(operations, {"type": "websocket"}, receive, send).run()
    assert sent == [{"type": "websocket.close", "code": 4408, "reason": "Connection initialisation timeout"}]
