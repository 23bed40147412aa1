"""The connections of the gateway's server: what a peer may hold, and for how long. WebSockets are sockets.py's.

uvicorn bounds neither a request's head nor its trailers nor the time they take, and waits for ever for a peer to
read what was sent.
"""

import json
import socket
from asyncio import AbstractEventLoop, BaseTransport, Protocol, TimerHandle, Transport
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line with its headers, and of trailers: an ALB's own limit, and h11's; httptools has none."""
HEAD_TIMEOUT_S = 30.0
"""From a request's first byte to the end of its head, which clients send at once."""
BODY_WINDOW_S = 30.0
MIN_BODY_BYTES = 15_000
"""What has to come of a body in each window: 500 bytes/s, below any connection that people work with."""
SEND_TIMEOUT_S = 40.0
"""How long a peer may take nothing of what waits for it. A slow one takes something; a silent one is gone."""

if TYPE_CHECKING:
    _Base = Protocol
else:
    _Base = object


class PatientSending(_Base):
    """Drops a peer that does not read: closing the connection would wait until it does."""

    send_timeout_s: ClassVar[float] = SEND_TIMEOUT_S
    loop: AbstractEventLoop
    transport: Transport
    _send_timer: TimerHandle | None = None

    def pause_writing(self) -> None:
        """Watch what is left to send, as there is more than the transport wants to keep."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Watch no more."""
        self._stop_watching()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch_sending(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.send_timeout_s, self._check_sending, unsent)

    def _stop_watching(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _check_sending(self, unsent_before: int) -> None:
        if self.transport.get_write_buffer_size() < unsent_before:
            self._watch_sending()
        else:
            self.transport.abort()


class BoundedHttpProtocol(PatientSending, HttpToolsProtocol):
    """HTTP/1.1 with limits on what a request holds outside its body and on its time; refusals are in JSON."""

    head_timeout_s: ClassVar[float] = HEAD_TIMEOUT_S
    body_window_s: ClassVar[float] = BODY_WINDOW_S
    _part: Literal["head", "body"] = "head"
    _moved = False
    _held_bytes = 0
    _body_bytes = 0
    _was_held_up = False
    _read_timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait for the first request no longer than for another one."""
        super().connection_made(cast("Transport", transport))
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._stop_reading_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came in, and refuse a head or trailers that do not end."""
        self._moved = False
        super().data_received(data)
        # What does not bring the request on (head, trailers, the lengths of chunks) is kept by the parser.
        self._held_bytes = 0 if self._moved else self._held_bytes + len(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._held_bytes > MAX_HEAD_BYTES:
            part = "head is" if self._part == "head" else "trailers are"
            self.send_400_response(f"The request's {part} longer than {MAX_HEAD_BYTES} bytes.")
        elif self._read_timer is None:
            self._start_reading_clock()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none (RFC 9110, 6.5.1), and nothing here reads trailers."""
        if self._part == "head":
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        self._stop_reading_clock()
        self._moved, self._part = True, "body"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body to the app."""
        self._moved = True
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Hand the body's end to the app."""
        self._stop_reading_clock()
        self._moved, self._part = True, "head"
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the other protocol."""
        self._stop_reading_clock()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request, and close the connection."""
        self._refuse(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", msg, retryable=False)

    def _start_reading_clock(self) -> None:
        if self._part == "body":
            self._body_bytes = 0
            self._was_held_up = False
            self._read_timer = self.loop.call_later(self.body_window_s, self._check_body)
        elif not self._is_answering():
            self._read_timer = self.loop.call_later(self.head_timeout_s, self._refuse_slow, "head")

    def _stop_reading_clock(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _check_body(self) -> None:
        # The client is not to blame for a window in which the app did not take what was there.
        held_up = self.flow.read_paused or self.cycle.waiting_for_100_continue
        if self._body_bytes < MIN_BODY_BYTES and not held_up and not self._was_held_up:
            self._refuse_slow("body")
            return
        self._body_bytes = 0
        self._was_held_up = held_up
        self._read_timer = self.loop.call_later(self.body_window_s, self._check_body)

    def _is_answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # there is none before the first request
        return cycle is not None and not cycle.response_complete

    def _refuse_slow(self, part: str) -> None:
        self._read_timer = None
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, "TIMEOUT", f"The request's {part} came too slowly.", retryable=True
        )

    def _refuse(self, status: HTTPStatus, code: str, message: str, *, retryable: bool) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering() and self.cycle.response_started:
            self.transport.abort()  # an answer is under way: it is cut, which shows that it is not whole
            return
        error = {"message": message, "extensions": {"code": code, "retryable": retryable}}
        body = json.dumps({"errors": [error]}).encode()
        head = f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + body)
        self.transport.close()


def bound_sending(listener: socket.socket) -> None:
    """Have the system drop peers that take nothing, whatever waits for them; connections inherit it (Linux)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SEND_TIMEOUT_S * 1000))
