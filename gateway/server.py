"""uvicorn as the gateway runs it: its socket, its settings, and how it stops. Its connections are protocols.py's
and sockets.py's.

On SIGTERM or SIGINT it stops listening, closes WebSockets with 1012 (which clients take as "connect again"; no
`complete` goes out before) and has the app end its event streams; then it waits for the requests under way.
"""

import asyncio
import errno
import gc
import logging
import math
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from gateway.protocols import BoundedHttpProtocol, bound_sending
from gateway.sockets import PulsedSocketProtocol, SocketServerState

BACKLOG = 2048
"""Connections that wait to be accepted while the loop is busy; the kernel's usual ceiling is 4096."""
KEEP_ALIVE_S = 920
"""Idle HTTP connections outlive the load balancer's, so that it never sends into a closed one. The chart sets an
ALB's to 910 s, above the 900 s for which the longest function may be silent."""
WS_PING_INTERVAL_S = 20.0
"""Below the 60 s after which an ALB cuts an idle connection, with room for two lost pings. A peer
that has not answered when the next is due is gone: its operations end within 40 s."""
GC_THRESHOLD = 20_000
"""New objects until the next look for garbage among them: a page or two, and at most a few MB."""

logger = logging.getLogger(__name__)


class ListenError(Exception):
    """The address can't be listened on; the message is one line that says why."""


class DrainingServer(uvicorn.Server):
    """A server that says where it listens, and sets `draining` before it stops."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self.server_state = SocketServerState()
        self.draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then accept connections."""
        await super().startup(sockets)
        if self.started:
            _settle_memory()
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
        bound_sending(listener)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        setting = "PORT" if error.errno in {errno.EADDRINUSE, errno.EACCES} else "HOST"
        raise ListenError(f"{setting}: can't listen on {host}:{port}: {error.strerror or error}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Make the URL of a listening socket; one that listens everywhere is reached by loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settle_memory() -> None:
    """Leave what is there for good, 300,000 objects of schema and SDK, out of garbage collections.

    A page makes thousands of objects that end with it, without garbage: looking for some every 700 of them, and
    through everything now and then, took a fifth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


def make_server(
    app: ASGIApp, *, draining: asyncio.Event, drain_timeout_s: float, max_body_bytes: int
) -> DrainingServer:
    """Make the server of `app`; `draining` is set when it begins to stop.

    Requests under way get `drain_timeout_s` to end. Messages of sockets may have `max_body_bytes`, as bodies have.
    """
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        ws=PulsedSocketProtocol,
        log_config=None,  # configure_logging has set it up
        access_log=False,  # costs 20 to 40 % of the throughput
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(drain_timeout_s),
        ws_max_size=max_body_bytes,
        ws_ping_interval=WS_PING_INTERVAL_S,
        ws_ping_timeout=None,  # the next ping's time
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
