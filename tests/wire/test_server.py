"""The listening socket, and what arrives there that is no request."""

import json
import socket

import httpx
import pytest

from gateway.protocols import MAX_HEAD_BYTES
from gateway.server import ListenError, listen, url_of
from tests.wire.conftest import Served


def test_port_zero_takes_a_free_port() -> None:
    """The URL has the port that was taken, and an address that can be reached."""
    with listen("0.0.0.0", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"


def test_port_in_use_is_one_clear_line() -> None:
    """The error names the setting and the address."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ListenError, match=rf"^PORT: can't listen on 127\.0\.0\.1:{port}: Address already in use$"
        ):
            listen("127.0.0.1", port)


def test_unknown_host_is_one_clear_line() -> None:
    """So does one for a host that is none."""
    with pytest.raises(ListenError, match=r"^HOST: can't listen on no\.such\.host\.invalid: [^\n]+$"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"hello\r\n\r\n", "Invalid HTTP request received."),
        (b"GET /\xff HTTP/1.1\r\n\r\n", "Invalid HTTP request received."),
        (b"GET / HTTP/1.1\r\na: " + b"b" * MAX_HEAD_BYTES, "The request's head is longer than 65536 bytes."),
        (b"GET /" + b"b" * MAX_HEAD_BYTES, "The request's head is longer than 65536 bytes."),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, "The request's head is longer than 65536 bytes."),
    ],
)
def test_what_is_no_request_is_answered_in_json(served: Served, sent: bytes, message: str) -> None:
    """Noise, and heads that do not end, get 400 and the end of the connection."""
    url = httpx.URL(served.url)
    with socket.create_connection((url.host, url.port or 80), timeout=5) as client:
        client.sendall(sent)
        head, body = client.recv(65536).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    extensions = {"code": "BAD_REQUEST", "retryable": False}
    assert json.loads(body) == {"errors": [{"message": message, "extensions": extensions}]}
