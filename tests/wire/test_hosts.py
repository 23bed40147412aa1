"""A gateway for its own machine alone: what names another host is refused, requests and sockets alike."""

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from gateway.web.hosts import OwnHostsMiddleware
from tests.wire.app import make_app
from tests.wire.conftest import error_of, serve
from tests.wire.seen import Watched

HOSTS = ("localhost", "127.0.0.1", "::1", "Blue.example.com")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The endpoint of a gateway with some names."""
    draining = asyncio.Event()
    yield from serve(OwnHostsMiddleware(make_app(Watched(), draining), HOSTS), draining)


def message_for(host: str) -> str:
    """What a request for this host is told."""
    return (
        f"This gateway is for its own machine alone, and {host!r} is none of that one's names. "
        "If it should be served, set PUBLIC_URL to it, or listen there with --host."
    )


def ask(url: str, host: str) -> httpx.Response:
    """Ask with another Host header."""
    return httpx.post(url, json={"query": "{hello}"}, headers={"host": host}, trust_env=False)


def socket_status(url: str, host: str) -> int:
    """The status of a handshake with another Host header; 101 where it ends well."""
    spoken = [Subprotocol("graphql-transport-ws")]
    target = httpx.URL(url)
    connection = socket.create_connection((target.host, target.port or 80), timeout=10)
    try:
        with connect(f"ws://{host}/graphql", sock=connection, subprotocols=spoken, proxy=None):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "blue.example.com"])
def test_own_hosts_are_served(url: str, host: str) -> None:
    """On whatever port, as it may be forwarded."""
    assert ask(url, host).json()["data"] == {"hello": "hello world"}
    assert socket_status(url, host) == 101


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8000", "localhost.evil.example.com"])
def test_other_hosts_are_refused(url: str, host: str) -> None:
    """400 in the form of every error, which names the host and what helps."""
    assert error_of(ask(url, host)) == (400, "BAD_REQUEST", message_for(host))
    assert socket_status(url, host) == 400


@pytest.mark.parametrize("host", ["", "[::1", "x" * 5000])
def test_hosts_that_are_none_are_refused(url: str, host: str) -> None:
    """A long one is cut in the answer."""
    assert error_of(ask(url, host)) == (400, "BAD_REQUEST", message_for(host[:100]))
