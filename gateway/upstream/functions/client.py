"""Calls to functions: the address that was checked is the one that is connected to, so that no name is rebound.

Redirects are not followed and cookies not kept. Connections are not kept either, so that Kubernetes spreads the
load. Headers and the request target go out as they are given: httpx's client would add and rewrite some, so this
uses its transport.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from gateway.errors import InvalidInputError
from gateway.records.hosts import Address
from gateway.telemetry import record_call
from gateway.upstream.functions.hosts import AllowedHosts, HostNotAllowedError, Origin
from gateway.upstream.http import CONNECT_TIMEOUT_S

RawHeaders = list[tuple[bytes, bytes]]

MAX_CONNECTIONS = 1_000
"""More calls than that under way at once wait; each may hold a socket for 15 minutes."""
FINAL_STATUSES = range(200, 600)
"""What a response can end with; 1xx and what is beyond HTTP can't be passed on."""


class UnreachableError(Exception):
    """The function could not be connected to, broke off, or is where nothing may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionResponse:
    """What a function answers; the body comes as it is sent, content encoding included."""

    status_code: int
    headers: RawHeaders
    """Names in the case the function gave them."""
    body: AsyncIterator[bytes]
    """Raises UnreachableError where the function breaks off."""


class Functions:
    """Calls functions; with a proxy it is the proxy that resolves and connects, and only names are checked."""

    def __init__(self, transport: httpx.AsyncBaseTransport, allowed: AllowedHosts, *, through_proxy: bool) -> None:
        self._transport = transport
        self._allowed = allowed
        self._through_proxy = through_proxy

    def check_url(self, url: str, *, field: str | None = None) -> None:
        """Refuse an invocation URL that could never be called, without DNS."""
        try:
            self._allowed.check(url)
        except HostNotAllowedError as error:
            raise InvalidInputError(str(error), field=field) from error

    @asynccontextmanager
    async def request(
        self,
        url: str,
        *,
        method: str,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: AsyncIterable[bytes] | bytes | None,
    ) -> AsyncIterator[FunctionResponse]:
        """One request, open as long as the block; the caller bounds its time.

        `target` is path and query, and goes below the path that the URL has. A streamed body without a
        content-length is sent in chunks. UnreachableError where nothing answers, or nothing may be asked.
        """
        try:
            origin = self._allowed.check(url)
            addresses = [None] if self._through_proxy else await self._allowed.addresses(origin)
        except HostNotAllowedError as error:
            raise UnreachableError(str(error)) from error
        except OSError as error:
            raise UnreachableError(f"the host of {url} does not resolve: {error}") from error
        record_call("functions", method)
        with _translated():
            response = await self._send(origin, addresses, method, target, list(headers), body)
        try:
            if response.status_code not in FINAL_STATUSES:
                raise UnreachableError(
                    f"it answered with the status {response.status_code}, which ends no request"
                )
            yield FunctionResponse(
                status_code=response.status_code, headers=response.headers.raw, body=_chunks(response)
            )
        finally:
            await response.aclose()

    async def _send(
        self,
        origin: Origin,
        addresses: Iterable[Address | None],
        method: str,
        target: bytes,
        headers: RawHeaders,
        body: AsyncIterable[bytes] | bytes | None,
    ) -> httpx.Response:
        """Send to the first address that accepts a connection; nothing of the body is read before one does."""
        failure: httpx.TransportError | None = None
        for address in addresses:
            connected = origin if address is None else Origin(scheme=origin.scheme, host=address, port=origin.port)
            request = httpx.Request(
                method,
                f"{origin.scheme}://{connected.authority}/",
                headers=[(b"host", origin.authority.encode()), (b"connection", b"close"), *headers],
                content=body,
                extensions={
                    "target": origin.path.encode() + target,
                    "sni_hostname": str(origin.host),
                    "timeout": {"connect": CONNECT_TIMEOUT_S},
                },
            )
            try:
                return await self._transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # noqa: S101  # AllowedHosts answers one address at least
        raise failure


@asynccontextmanager
async def open_functions(
    *, allowed_hosts: Iterable[str], upstreams: Iterable[str], proxy_url: str | None
) -> AsyncIterator[Functions]:
    """Open the client for the life of the process; `upstreams` are the URLs that are never called."""
    allowed = AllowedHosts(allowed_hosts, upstreams)
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0)
    async with httpx.AsyncHTTPTransport(trust_env=False, limits=limits, proxy=proxy_url) as transport:
        yield Functions(transport, allowed, through_proxy=proxy_url is not None)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise UnreachableError(str(error) or type(error).__name__) from error


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    with _translated():
        async for chunk in response.aiter_raw():
            yield chunk
