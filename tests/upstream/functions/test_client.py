"""Calls to functions: what goes out, what comes back, and what is not followed."""

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.upstream.functions import Functions, UnreachableError, open_functions
from tests.observability import serving

Seen = list[Scope]


async def call(functions: Functions, url: str, target: bytes = b"/") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of a call."""
    async with functions.request(url, method="GET", target=target, headers=[], body=None) as response:
        body = b"".join([chunk async for chunk in response.body])
        return response.status_code, dict(response.headers), body


@pytest.fixture
def seen() -> Seen:
    """The requests that arrived."""
    return []


@pytest.fixture
async def url(seen: Seen) -> AsyncIterator[str]:
    """A function that sets a cookie, redirects and says what it saw."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        seen.append(scope)
        await Request(scope, receive).body()
        status = 302 if scope["path"] == "/moved" else 200
        headers = [(b"set-cookie", b"a=b"), (b"location", b"/elsewhere")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(app) as served:
        yield served


@pytest.fixture
async def functions() -> AsyncIterator[Functions]:
    """The client, allowed to call this machine."""
    async with open_functions(allowed_hosts=["127.0.0.1", "localhost"], upstreams=[], proxy_url=None) as opened:
        yield opened


async def test_request_when_the_target_is_odd(functions: Functions, url: str, seen: Seen) -> None:
    """Path and query arrive byte for byte, below the URL's own path."""
    target = b"/a%2Fb/../c%20d//e|f%zz;x=1?q=%41&q=a+b&&=[]{}\"'^`"
    await call(functions, f"{url}/base/", target)
    raw = seen[0]["raw_path"] + b"?" + seen[0]["query_string"]
    assert raw == b"/base" + target


async def test_request_when_redirected(functions: Functions, url: str, seen: Seen) -> None:
    """A redirect is an answer like any other."""
    status, headers, _ = await call(functions, url, b"/moved")
    assert (status, headers[b"location"], len(seen)) == (302, b"/elsewhere", 1)


async def test_request_after_a_cookie_was_set(functions: Functions, url: str, seen: Seen) -> None:
    """What one function sets is never sent to the next; nothing but what is given and what HTTP needs is sent."""
    await call(functions, url)
    await call(functions, url)
    assert [name for name, _ in seen[1]["headers"]] == [b"host", b"connection"]


async def test_request_by_name(functions: Functions, url: str, seen: Seen) -> None:
    """The checked address is connected to, and the function sees the name it is called by."""
    port = url.rpartition(":")[2]
    status, _, body = await call(functions, f"http://localhost:{port}")
    assert (status, body) == (200, b"ok")
    assert dict(seen[0]["headers"])[b"host"] == f"localhost:{port}".encode()


@pytest.mark.parametrize(
    "bad", ["http://127.0.0.1:9", "http://example.com", "http://[::1]:80", "http://localhost.:x", "nothing"]
)
async def test_request_when_it_may_or_can_not_be_called(functions: Functions, bad: str) -> None:
    """What nobody listens at, and what is not allowed, is unreachable."""
    with pytest.raises(UnreachableError):
        await call(functions, bad)


async def test_request_through_a_proxy(url: str, seen: Seen) -> None:
    """The proxy resolves names, so that only the patterns decide; path and Host are as without it."""
    async with open_functions(
        allowed_hosts=["*.default.svc.cluster.local:80"], upstreams=[], proxy_url=url
    ) as functions:
        status, _, _ = await call(functions, "http://hello.default.svc.cluster.local/base", b"/a%2Fb?c=%20")
        assert status == 200
        assert dict(seen[0]["headers"])[b"host"] == b"hello.default.svc.cluster.local"
        assert (seen[0]["raw_path"], seen[0]["query_string"]) == (b"/base/a%2Fb", b"c=%20")
        with pytest.raises(UnreachableError, match="not allowed"):
            await call(functions, "http://hello.other.svc.cluster.local")
    assert len(seen) == 1


async def test_request_when_the_first_address_does_not_answer(url: str) -> None:
    """The next one is tried: a name often has an IPv6 address that nobody listens at."""
    port = url.rpartition(":")[2]
    async with open_functions(
        allowed_hosts=["localhost", "127.0.0.1", "::1"], upstreams=[], proxy_url=None
    ) as functions:
        status, _, _ = await call(functions, f"http://localhost:{port}")
    assert status == 200
