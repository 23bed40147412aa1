"""A graphql-transport-ws client for tests, message by message."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.wire.conftest import Served

PROTOCOL = Subprotocol("graphql-transport-ws")


@contextmanager
def opened(served: Served, *, init: bool = True, **options: Any) -> Iterator[ClientConnection]:
    """A connection, acknowledged unless told otherwise."""
    options.setdefault("subprotocols", [PROTOCOL])
    with connect(served.ws_url, proxy=None, open_timeout=5, close_timeout=2, **options) as socket:
        if init:
            socket.send('{"type":"connection_init"}')
            assert receive(socket) == {"type": "connection_ack"}
        yield socket


def receive(socket: ClientConnection) -> dict[str, Any]:
    """The next message, which has to be a text frame."""
    text = socket.recv(timeout=5)
    assert isinstance(text, str)
    message: dict[str, Any] = json.loads(text)
    return message


def subscribe(socket: ClientConnection, query: str, number: str = "1", **payload: object) -> None:
    """Start an operation."""
    socket.send(json.dumps({"type": "subscribe", "id": number, "payload": {"query": query, **payload}}))


def until_done(socket: ClientConnection) -> list[dict[str, Any]]:
    """Messages of an operation up to its last."""
    messages = [receive(socket)]
    while messages[-1]["type"] == "next":
        messages.append(receive(socket))
    return messages


def _drop_messages(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=5)


def closing_of(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as closed:
        _drop_messages(socket)
    frame = closed.value.rcvd
    assert frame is not None
    return frame.code, frame.reason
