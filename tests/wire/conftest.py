"""A served gateway view for the wire tests, and clients for it."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.server import listen, make_server, url_of
from tests.wire.app import MAX_BODY_BYTES, make_app, make_test_schema
from tests.wire.seen import Watched

QUERY_TIMEOUT_S = 0.3


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    seen: Watched

    @property
    def ws_url(self) -> str:
        """The address of its sockets."""
        return self.url.replace("http", "ws")


def serve(app: ASGIApp, draining: asyncio.Event) -> Iterator[str]:
    """Serve an app from a thread on a free port; the URL of its endpoint."""
    listener = listen("127.0.0.1", 0)
    url = url_of(listener)
    server = make_server(app, draining=draining, drain_timeout_s=2, max_body_bytes=MAX_BODY_BYTES)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"{url}/graphql"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()


def eventually(condition: Callable[[], bool], timeout_s: float = 5) -> None:
    """Return as soon as the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of an answer that is one error."""
    [error] = response.json()["errors"]
    return response.status_code, error["extensions"]["code"], error["message"]


@pytest.fixture(scope="session")
def running() -> Iterator[Served]:
    """The server all tests of this folder share."""
    seen = Watched()
    draining = asyncio.Event()
    schema = make_test_schema(query_timeout_s=QUERY_TIMEOUT_S)
    for url in serve(make_app(seen, draining, schema=schema), draining):
        yield Served(url, seen)


@pytest.fixture
def served(running: Served) -> Served:
    """The shared server, with nothing seen yet."""
    eventually(lambda: running.seen.active == 0)
    running.seen.reads.clear()
    running.seen.contexts.clear()
    running.seen.mutated = 0
    return running


@pytest.fixture(scope="session")
def http(running: Served) -> Iterator[httpx.Client]:
    """A client whose base URL is the endpoint."""
    with httpx.Client(base_url=running.url, timeout=10, trust_env=False) as client:
        yield client


Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(served: Served, http: httpx.Client) -> Post:
    """Send an operation as JSON and read the answer."""

    def send(query: str, variables: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = http.post(
            served.url, json={"query": query, "variables": variables, **more}
        ).json()
        return answer

    return send


PUBLISH = "mutation($topic:String!,$texts:[String!]!){publish(topic:$topic,texts:$texts)}"
END = "mutation($topic:String!,$lost:Boolean!){end(topic:$topic,lost:$lost)}"

Publish = Callable[..., None]


@pytest.fixture
def topic() -> str:
    """A topic of the test's own."""
    return uuid.uuid4().hex


@pytest.fixture
def publish(post: Post, topic: str) -> Publish:
    """Tell those who watch the topic."""

    def tell(*texts: str) -> None:
        assert post(PUBLISH, {"topic": topic, "texts": texts})["data"] == {"publish": True}

    return tell


@pytest.fixture
def end(post: Post, topic: str) -> Callable[..., None]:
    """Let the topic end."""

    def tell(*, lost: bool = False) -> None:
        assert post(END, {"topic": topic, "lost": lost})["data"] == {"end": True}

    return tell
