"""Uploads at a time: so many are read or kept, and one more waits, unread, for no longer than it has to."""

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from gateway.server import DrainingServer
from schema.transport.uploads import MAX_UPLOADS, UploadTurns
from tests.wire.app import make_app
from tests.wire.conftest import error_of
from tests.wire.raw import connected
from tests.wire.seen import Watched
from tests.wire.test_connections import SOON_S, HastyHttp, served
from tests.wire.test_too_large import END, FIELDS


def body_of(query: str) -> bytes:
    """A multipart body with an operation and no file."""
    parts = {"operations": json.dumps({"query": query}), "map": "{}"}
    lines = [f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{parts[name]}\r\n' for name in parts]
    return f"{''.join(lines)}--b--\r\n".encode()


BRIEF = body_of("{brief}")
"""An operation that takes a moment."""
SILENT = body_of("subscription{silent}")
"""One that ends with its client."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@contextmanager
def serving_uploads(turns: UploadTurns, *, hasty: bool = False) -> Iterator[str]:
    """Serve the app with these turns; `hasty` blames clients for slow bodies soon."""

    def adjust(server: DrainingServer) -> None:
        if hasty:
            server.config.http = HastyHttp

    with served(make_app(Watched(), asyncio.Event(), upload_turns=turns), adjust) as url:
        yield f"{url}/graphql"


def announce(url: str, length: int, accept: str = "application/json") -> socket.socket:
    """A connection that has announced an upload, and waits to be told to send it."""
    client = connected(url)
    head = (
        "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        f"x-requested-with: test\r\ncontent-length: {length}\r\nexpect: 100-continue\r\naccept: {accept}\r\n"
        "connection: close\r\n\r\n"
    )
    client.sendall(head.encode())
    return client


def is_told_to_send(client: socket.socket, within_s: float = 10) -> bool:
    """Whether its body is asked for in time."""
    client.settimeout(within_s)
    try:
        received = client.recv(len(CONTINUE))
    except TimeoutError:
        return False
    assert received == CONTINUE
    return True


def rest_of(client: socket.socket) -> bytes:
    """All that still comes."""
    client.settimeout(10)
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def test_uploads_are_let_in_up_to_the_limit() -> None:
    """As many as the limit are read at the same time, and nothing of one more."""
    with serving_uploads(UploadTurns()) as url, ExitStack() as stack:
        clients = [stack.enter_context(announce(url, len(BRIEF))) for _ in range(MAX_UPLOADS)]
        assert all(is_told_to_send(client) for client in clients)
        assert not is_told_to_send(stack.enter_context(announce(url, len(BRIEF))), within_s=SOON_S)


def test_turn_lasts_until_the_answer_has_ended() -> None:
    """What was read is kept as long as the operation runs; then the next one is read, and served."""
    body = FIELDS + b"hello" + END
    with (
        serving_uploads(UploadTurns(1)) as url,
        announce(url, len(BRIEF)) as first,
        announce(url, len(body)) as second,
    ):
        assert is_told_to_send(first)
        first.sendall(BRIEF)
        assert not is_told_to_send(second, within_s=SOON_S)
        assert b'"brief":"done"' in rest_of(first)
        assert is_told_to_send(second)
        second.sendall(body)
        assert b'"upload":5' in rest_of(second)


@pytest.mark.parametrize("body", [b"--b\r\ngarbage\r\n", b""])
def test_turn_ends_with_an_upload_that_is_none(body: bytes) -> None:
    """One that can't be read lets the next one in, and so does a client that leaves."""
    with serving_uploads(UploadTurns(1)) as url, announce(url, len(body) or 1) as first:
        assert is_told_to_send(first)
        with announce(url, len(BRIEF)) as second:
            if body:
                first.sendall(body)
                assert rest_of(first).startswith(b"HTTP/1.1 400 ")
            else:
                first.close()
            assert is_told_to_send(second)


def test_upload_that_waited_in_vain_is_told_to_try_again() -> None:
    """503 after the time, and the connection serves what comes next; a client that waits was not too slow."""
    timeout_s = 4 * SOON_S
    parts: dict[str, Any] = {"operations": '{"query": "{hello}"}', "map": "{}"}
    files = {"0": b"x" * 900_000}
    with (
        serving_uploads(UploadTurns(1, timeout_s=timeout_s), hasty=True) as url,
        httpx.Client(timeout=10, trust_env=False, headers={"x-requested-with": "test"}) as client,
    ):
        with announce(url, len(SILENT), "text/event-stream") as first:
            assert is_told_to_send(first)
            first.sendall(SILENT)
            with announce(url, 900_000) as waiting:
                refused = client.post(url, data=parts, files=files)
                assert rest_of(waiting).startswith(b"HTTP/1.1 503 ")
        message = (
            f"The gateway takes 1 uploads at a time, and this one had no turn within {timeout_s:g} s: try again."
        )
        assert error_of(refused) == (503, "TIMEOUT", message)
        assert refused.json()["errors"][0]["extensions"]["retryable"] is True
        assert client.post(url, data=parts, files=files).json()["data"] == {"hello": "hello world"}
