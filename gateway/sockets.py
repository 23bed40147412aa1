"""The server's WebSockets: thousands, so that none has a timer of its own, nor keeps what it needs no more.

Of uvicorn's three implementations this is the one without a task for each connection but the app's.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections import OrderedDict
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.http11 import Request
from websockets.protocol import State

from gateway.protocols import PatientSending

POST = "websocket.post"
"""An extension of ASGI: its `post` writes a text frame without waiting, and returns False where it would wait."""
BEAT_S = 0.1
"""Sockets whose time is within it are pinged together: of 10,000, some fifty."""


class Heartbeat:
    """Pings each socket every so often, from one timer for all; who has not answered the last ping is dropped."""

    def __init__(self) -> None:
        self._due: OrderedDict[PulsedSocketProtocol, float] = OrderedDict()
        """In the order of their times, as the interval is the same for all."""
        self._timer: TimerHandle | None = None

    def add(self, socket: "PulsedSocketProtocol", interval_s: float) -> None:
        """Ping a socket after the interval."""
        self._due[socket] = socket.loop.time() + interval_s
        if self._timer is None:
            self._timer = socket.loop.call_later(interval_s, self._beat, socket.loop)

    def discard(self, socket: "PulsedSocketProtocol") -> None:
        """Ping it no more."""
        self._due.pop(socket, None)

    def _beat(self, loop: AbstractEventLoop) -> None:
        now, self._timer = loop.time(), None
        while self._due:
            socket, due = next(iter(self._due.items()))
            if due > now:
                self._timer = loop.call_at(max(due, now + BEAT_S), self._beat, loop)
                return
            del self._due[socket]
            socket.beat()


class SocketServerState(ServerState):
    """What the server's connections share."""

    def __init__(self) -> None:
        super().__init__()
        self.heartbeat = Heartbeat()


class PulsedSocketProtocol(PatientSending, WebSocketsSansIOProtocol):
    """WebSockets that are dropped when they do not answer pings, and whose text frames have to be UTF-8.

    uvicorn writes a traceback for each that is not.
    """

    def __init__(
        self,
        config: Config,
        server_state: SocketServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.heartbeat = server_state.heartbeat

    def handle_connect(self, event: Request) -> None:
        """Hand the handshake to the app, with the extension."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent and not self.conn.extensions:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[POST] = {"post": self.post}

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection, so that no collection of garbage is needed for it."""
        super().connection_lost(exc)
        if self.handshake_initiated and hasattr(self, "scope"):
            (self.scope.get("extensions") or {}).pop(POST, None)

    def post(self, text: bytes) -> bool:
        """Write a text frame now, unless more waits for the peer than the transport wants to keep.

        Made here, the frame takes 0.2 µs, by `conn` 1.7. That has nothing of its own to send between two events.
        """
        if not self.writable.is_set():
            return False
        if self.conn.state is State.OPEN and not self.disconnected:
            self.transport.write(_text_head(len(text)) + text)
        return True

    def start_keepalive(self) -> None:
        """Ping it from now on: it was accepted, and its handshake is needed no more."""
        del self.request, self.response
        self.schedule_ping()

    def schedule_ping(self) -> None:
        """Ping it after the interval."""
        if self.ping_interval:
            self.heartbeat.add(self, self.ping_interval)

    def stop_keepalive(self) -> None:
        """Ping it no more."""
        self.heartbeat.discard(self)
        super().stop_keepalive()

    def beat(self) -> None:
        """Ping the peer, unless it left the last ping unanswered.

        Then it is dropped: what was sent before that is most likely not read either.
        """
        if self.pending_ping_payload is None:
            self.send_keepalive_ping()
        elif not self.transport.is_closing():
            self.keepalive_timeout()
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Hand a message to the app, or close with 1007."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


def _text_head(length: int) -> bytes:
    """What a server's text frame begins with: whole, without a mask, without extensions (RFC 6455, 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    return b"\x81\x7e" + length.to_bytes(2) if length < 1 << 16 else b"\x81\x7f" + length.to_bytes(8)
