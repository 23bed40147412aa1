"""What one peer may hold of the server, and for how long: requests that do not end, answers that nobody reads."""

import asyncio
import json
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.protocols import MAX_HEAD_BYTES, SEND_TIMEOUT_S, BoundedHttpProtocol
from gateway.server import DrainingServer, listen, make_server, url_of
from gateway.sockets import PulsedSocketProtocol
from tests.wire.app import make_app
from tests.wire.conftest import eventually
from tests.wire.raw import RECEIVED_BYTES, answer_of, connected, deaf_socket, fill, send
from tests.wire.seen import Watched

SOON_S = 0.3
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
LARGE_BYTES = 30_000_000


class HastyHttp(BoundedHttpProtocol):
    """The gateway's HTTP with little patience."""

    head_timeout_s = SOON_S
    body_window_s = SOON_S
    send_timeout_s = SOON_S


class HastySockets(PulsedSocketProtocol):
    """The gateway's WebSockets, as impatient."""

    send_timeout_s = SOON_S


@contextmanager
def served(app: ASGIApp, adjust: Callable[[DrainingServer], None]) -> Iterator[str]:
    """Serve an app with changed settings; the server's URL."""
    listener = listen("127.0.0.1", 0)
    server = make_server(app, draining=asyncio.Event(), drain_timeout_s=1, max_body_bytes=1_000_000)
    adjust(server)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()


@dataclass
class Echo:
    """Answers with what came: the names of the headers, and the length of the body; or as the path says."""

    left: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if scope["path"] == "/later":
            await asyncio.sleep(4 * SOON_S)
        names = [name.decode() for name, _ in scope["headers"]]
        if scope["path"] in ("/", "/later"):
            content = json.dumps({"length": len(await request.body()), "headers": names}).encode()
        else:
            content = b"x" * LARGE_BYTES
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": content, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        if (await receive())["type"] == "http.disconnect":
            self.left.append(scope["path"])


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of little patience."""

    def adjust(server: DrainingServer) -> None:
        server.config.http = HastyHttp
        server.config.timeout_keep_alive = 1

    with served(Echo(), adjust) as url:
        yield url


@pytest.mark.parametrize("piece", [b"x: " + b"y" * 8000 + b"\r\n", b"y" * 8000])
def test_trailers_that_do_not_end_are_refused(url: str, piece: bytes) -> None:
    """What comes after the last chunk is bounded as a head is, whether it is many lines or a single one."""
    with connected(url) as client:
        client.sendall(CHUNKED + b"1\r\n{\r\n0\r\nx: ")
        sent = 0
        while not select.select([client], [], [], 0.02)[0]:
            client.sendall(piece)
            sent += len(piece)
            assert sent < 10 * MAX_HEAD_BYTES
        message = "The request's trailers are longer than 65536 bytes."
        assert answer_of(client) == (400, "BAD_REQUEST", message)


def test_trailers_are_no_headers(url: str) -> None:
    """A request with trailers is served, and its headers are those of its head."""
    with connected(url) as client:
        client.sendall(CHUNKED + b"2\r\n{}\r\n0\r\nx-late: 1\r\n\r\n")
        received = client.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'{"length": 2, "headers": ["host", "transfer-encoding"]}' in received


def test_head_that_comes_too_slowly_is_refused(url: str) -> None:
    """A head has its time from the first byte on: bytes that drip do not prolong it."""
    with connected(url) as client:
        began = time.monotonic()
        for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * 100:
            client.sendall(bytes([byte]))
            if select.select([client], [], [], 0.02)[0]:
                break
        assert answer_of(client) == (408, "TIMEOUT", "The request's head came too slowly.")
        assert SOON_S - 0.05 < time.monotonic() - began < 5


def test_second_head_that_comes_too_slowly_is_refused(url: str) -> None:
    """So it is on a connection that was used before, whatever comes in place of a request."""
    with connected(url) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"\r\n")
        assert answer_of(client)[:2] == (408, "TIMEOUT")


def test_connection_without_a_request_is_closed(url: str) -> None:
    """It may stay idle as long as one that waits for its next request."""
    with connected(url) as client:
        assert client.recv(1) == b""


def test_body_that_comes_too_slowly_is_refused(url: str) -> None:
    """Bytes that drip are not enough of a body."""
    with connected(url) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(500):
            client.sendall(b"x")
            if select.select([client], [], [], 0.02)[0]:
                break
        assert answer_of(client) == (408, "TIMEOUT", "The request's body came too slowly.")


async def test_body_that_comes_steadily_is_taken(url: str) -> None:
    """It may take many times as long as the first bytes of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(12):
            await asyncio.sleep(SOON_S / 4)
            yield b"x" * 10_000

    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        response = await client.post(url, content=pieces())
    assert response.json()["length"] == 120_000


def test_body_that_the_app_does_not_take_yet_is_waited_for(url: str) -> None:
    """The client can't send what is not read; that is not its fault."""
    response = httpx.post(f"{url}/later", content=b"x" * 900_000, timeout=10, trust_env=False)
    assert response.json()["length"] == 900_000


def test_answer_that_nobody_reads_is_given_up() -> None:
    """A client that takes nothing of what waits for it is dropped, and its request ends."""
    echo = Echo()

    def adjust(server: DrainingServer) -> None:
        server.config.http = HastyHttp

    with served(echo, adjust) as url, connected(url, receives=RECEIVED_BYTES) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        eventually(lambda: echo.left == ["/large"])


def test_answer_that_is_read_slowly_arrives(url: str) -> None:
    """A client that takes something in time gets all of it, however long that takes."""
    with connected(url, receives=65536) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        began, length = time.monotonic(), 0
        while data := client.recv(65536):
            length += len(data)
            time.sleep(0.002)
        assert length > LARGE_BYTES
        assert time.monotonic() - began > 2 * SOON_S


def sockets_answering_pings_soon(server: DrainingServer) -> None:
    """Ask sooner, and so wait less."""
    server.config.ws_ping_interval = SOON_S


def sockets_reading_soon(server: DrainingServer) -> None:
    """Wait less for what is sent to be read."""
    server.config.ws = HastySockets


@pytest.mark.parametrize("adjust", [sockets_answering_pings_soon, sockets_reading_soon])
def test_socket_that_does_not_read_is_dropped(adjust: Callable[[DrainingServer], None]) -> None:
    """Its operations end, though there is more to send to it than the system takes."""
    seen = Watched()
    with served(make_app(seen, asyncio.Event()), adjust) as url, closing(deaf_socket(url)) as client:
        send(client, {"type": "subscribe", "id": "1", "payload": {"query": "subscription{silent}"}})
        eventually(lambda: seen.active == 1)
        filling = threading.Thread(target=_fill_until_cut, args=(client,))
        filling.start()
        eventually(lambda: seen.active == 0)
        filling.join(timeout=5)


def _fill_until_cut(client: socket.socket) -> None:
    try:
        fill(client, 150_000, 90)
    except OSError:
        return  # the server has closed the connection


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such bound")
def test_connections_inherit_the_bound_of_the_system() -> None:
    """Less than the server's own buffer may wait for a peer that is gone: the system gives that up."""
    with listen("127.0.0.1", 0) as listener, connected(url_of(listener)), closing(listener.accept()[0]) as peer:
        timeout_ms = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert timeout_ms == SEND_TIMEOUT_S * 1000
