"""A graphql-transport-ws connection with one subscription, as light as it can be."""

import asyncio
import base64
import os
import time
from collections.abc import Callable
from typing import Any

import orjson

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
DOCUMENT = """subscription ($id: ID!, $after: Int) {
  buildProgress(id: $id, after: $after) {
    sequence status at
    build { id status error imageUrl steps { status startedAt finishedAt durationMs } }
  }
}"""

Take = Callable[[dict[str, Any], float], None]
"""Is given each message, and when it came."""


class Subscriber(asyncio.Protocol):
    """Upgrades, subscribes to one build, answers pings, and hands messages on."""

    def __init__(self, number: int, build_id: str, take: Take) -> None:
        self._number = number
        self._build_id = build_id
        self._take = take
        self._upgraded = False
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            "GET /graphql HTTP/1.1\r\nhost: gateway.example.com\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
            "sec-websocket-protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Take what is whole of it."""
        now = time.time()
        self._received += data
        if not self._upgraded:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._upgraded, self._received = True, rest
            self._send(TEXT, b'{"type":"connection_init"}')
        while (frame := self._next_frame()) is not None:
            self._on_frame(*frame, now)

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self._received
        if len(data) < 4:
            return None
        start, length = 2, data[1]
        if length == 126:
            start, length = 4, int.from_bytes(data[2:4], "big")
        assert length < 65536, "a server's frames are neither masked nor as long"
        if len(data) < start + length:
            return None
        self._received = data[start + length :]
        return data[0] & 15, data[start : start + length]

    def _on_frame(self, opcode: int, content: bytes, now: float) -> None:
        if opcode == PING:
            self._send(PONG, content)
        elif opcode == TEXT:
            message = orjson.loads(content)
            if message["type"] == "connection_ack":
                payload = {"query": DOCUMENT, "variables": {"id": self._build_id}}
                self._send(
                    TEXT, orjson.dumps({"type": "subscribe", "id": f"op-{self._number}", "payload": payload})
                )
            else:
                self._take(message, now)

    def _send(self, opcode: int, content: bytes) -> None:
        """Send a frame, masked with zeros."""
        length = bytes([128 | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2, "big")
        self._transport.write(bytes([128 | opcode]) + length + bytes(4) + content)
