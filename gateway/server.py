"""uvicorn as the gateway runs it: its socket, its limits, and how it stops. What is served is app.py's matter.

On SIGTERM or SIGINT it stops listening, closes WebSockets with 1012 (which clients take as "connect again"; no
`complete` goes out before) and has the app end its event streams; then it waits for the requests under way.
"""

import asyncio
import json
import logging
import math
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

BACKLOG = 2048
"""Connections that wait to be accepted while the loop is busy; the kernel's usual ceiling is 4096."""
KEEP_ALIVE_S = 75
"""Idle HTTP connections outlive the load balancer's (an ALB's 60 s), so that it never sends into a closed one."""
WS_PING_INTERVAL_S = 20.0
"""Below the 60 s after which an ALB cuts an idle connection, with room for two lost pings."""
WS_PING_TIMEOUT_S = 20.0
"""A peer that does not answer is gone; its operations end within 40 s."""

MAX_HEAD_BYTES = 64 * 1024
"""Of a request line with its headers: an ALB's own limit, and h11's; httptools has none."""

logger = logging.getLogger(__name__)


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a limit on the head of a request, and malformed requests answered in JSON."""

    _in_head = True
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came in; a head that does not end is answered with 400."""
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The request's head is longer than {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand the request to the app."""
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request, and close the connection."""
        extensions = {"code": "BAD_REQUEST", "retryable": False}
        body = json.dumps({"errors": [{"message": msg, "extensions": extensions}]}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()


class QuietSocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets whose text frames have to be UTF-8; uvicorn writes a traceback for each that is not."""

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


class ListenError(Exception):
    """The address can't be listened on; the message is one line that says why."""


class DrainingServer(uvicorn.Server):
    """A server that says where it listens, and sets `draining` before it stops."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self.draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then accept connections."""
        await super().startup(sockets)
        if self.started:
            for listener in sockets or []:
                logger.info("listening on %s", url_of(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: at most the configured time for what is under way, then the app's own end."""
        self.draining.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's signature
        """Stop on the first signal and give up waiting on the second.

        uvicorn would raise the signal again when it is done; a drained gateway has ended well, with 0.
        """
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, before anything else is started; port 0 takes a free one."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # With the protocol named: asyncio sets TCP_NODELAY only then.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise ListenError(f"HOST: can't listen on {host}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"PORT: can't listen on {host}:{port}: {error.strerror or error}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Make the URL of a listening socket; one that listens everywhere is reached by loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(
    app: ASGIApp, *, draining: asyncio.Event, drain_timeout_s: float, max_body_bytes: int
) -> DrainingServer:
    """Make the server of `app`; `draining` is set when it begins to stop.

    Requests under way get `drain_timeout_s` to end. Messages of sockets may have `max_body_bytes`, as bodies have.
    """
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        ws=QuietSocketProtocol,
        log_config=None,  # configure_logging has set it up
        access_log=False,  # costs 20 to 40 % of the throughput
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_timeout_s),
        ws_max_size=max_body_bytes,
        ws_ping_interval=WS_PING_INTERVAL_S,
        ws_ping_timeout=WS_PING_TIMEOUT_S,
        ws_per_message_deflate=False,  # messages are small; it costs memory for each socket, CPU for each message
        server_header=False,
    )
    if logger.getEffectiveLevel() > logging.DEBUG:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # it has lines for every socket
    return DrainingServer(config, draining)


def run(
    app: ASGIApp,
    listener: socket.socket,
    *,
    draining: asyncio.Event,
    drain_timeout_s: float,
    max_body_bytes: int,
) -> None:
    """Serve `app` on `listener` until SIGTERM or SIGINT; a lifespan that fails ends the process with code 3."""
    server = make_server(app, draining=draining, drain_timeout_s=drain_timeout_s, max_body_bytes=max_body_bytes)
    server.run(sockets=[listener])
