"""The server's sockets: those that answer pings stay, and a server without our protocol serves them too."""

import asyncio
import time
from contextlib import ExitStack
from typing import cast

from starlette.types import Message
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.server import DrainingServer
from schema.context import Resources
from schema.transport.operations import Operations
from schema.transport.websockets import Connection
from tests.wire.app import make_app, make_test_schema
from tests.wire.conftest import Served
from tests.wire.seen import Watched
from tests.wire.sockets import opened, subscribe, until_done
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
