"""Calls to functions: what goes out, what comes back, and what is not followed."""

import asyncio
import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.records.hosts import Address
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


async def test_request_when_a_name_is_rebound(url: str, seen: Seen) -> None:
    """Each call is checked by the answer that it connects to, and no other is asked for."""
    answers = iter(["127.0.0.1", "127.0.0.2"])

    async def resolve(_host: str | Address, _port: int) -> tuple[Address, ...]:
        return (ipaddress.ip_address(next(answers)),)

    async with open_functions(
        allowed_hosts=["fn.example", "127.0.0.1"], upstreams=[], proxy_url=None, resolve=resolve
    ) as functions:
        named = f"http://fn.example:{url.rpartition(':')[2]}"
        assert (await call(functions, named))[0] == 200
        with pytest.raises(UnreachableError, match="an address that is not allowed"):
            await call(functions, named)
    assert len(seen) == 1


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(handle: Handler) -> AsyncIterator[str]:
    """The URL of a server that is no more than this."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("stays_open", [False, True])
async def test_request_when_it_is_answered_unread(functions: Functions, stays_open: bool) -> None:
    """An answer that comes before the body was read is the answer; a length beside chunks is left out."""
    done = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 413 No\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n"
        )
        await writer.drain()
        if stays_open:
            await done.wait()
        writer.close()

    async with (
        peer(refuse) as at,
        asyncio.timeout(10),
        functions.request(at, method="POST", target=b"/", headers=[], body=b"x" * 5_000_000) as response,
    ):
        assert (response.status_code, response.headers) == (413, [(b"transfer-encoding", b"chunked")])
        assert b"".join([chunk async for chunk in response.body]) == b"big"
        done.set()


async def test_request_when_it_is_echoed(functions: Functions) -> None:
    """Each piece of the answer is there before the next one of the request."""
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async def body() -> AsyncGenerator[bytes, None]:
        while piece := await pieces.get():
            yield piece

    async with (
        peer(echo) as at,
        asyncio.timeout(10),
        functions.request(at, method="POST", target=b"/", headers=[], body=body()) as response,
    ):
        for piece in (b"first", b"last"):
            pieces.put_nowait(piece)
            assert await anext(response.body) == piece
