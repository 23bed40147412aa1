"""Calls to functions: the address that was checked is the one that is connected to, so that no name is rebound.

Redirects are not followed and cookies not kept. Connections are not kept either, so that Kubernetes spreads the
load. Headers and the request target go out as they are given; HTTP clients would add and rewrite some.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import h11

from gateway.errors import InvalidInputError
from gateway.records.hosts import Address
from gateway.telemetry import record_call
from gateway.upstream.functions.addresses import Resolve, resolve
from gateway.upstream.functions.connections import Connection, Connector
from gateway.upstream.functions.exchange import Body, FunctionResponse, RawHeaders, UnreachableError, exchange
from gateway.upstream.functions.hosts import AllowedHosts, HostNotAllowedError, Origin

FINAL_STATUSES = range(200, 600)
"""What a response can end with; 1xx and what is beyond HTTP can't be passed on."""
METHODS_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Without one they say so: RFC 9110, 8.6."""


class Functions:
    """Calls functions; with a proxy it is the proxy that resolves and connects, and only names are checked."""

    def __init__(self, connector: Connector, allowed: AllowedHosts) -> None:
        self._connector = connector
        self._allowed = allowed

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
        body: Body | None,
    ) -> AsyncIterator[FunctionResponse]:
        """One request, open as long as the block; the caller bounds its time.

        `target` is path and query, and goes below the path that the URL has. A streamed body without a
        content-length is sent in chunks; it is read while the answer is, and its errors are raised here or by the
        answer's body. UnreachableError where nothing answers, or nothing may be asked.
        """
        try:
            origin = self._allowed.check(url)
            addresses = [] if self._connector.has_proxy else await self._allowed.addresses(origin)
        except HostNotAllowedError as error:
            raise UnreachableError(str(error)) from error
        except OSError as error:
            raise UnreachableError(f"the host of {url} does not resolve: {error}") from error
        record_call("functions", method)
        request = self._request(origin, method, target, list(headers), body)
        async with (
            self._connected(origin, addresses) as connection,
            exchange(connection, request, body or b"") as response,
        ):
            if response.status_code not in FINAL_STATUSES:
                raise UnreachableError(
                    f"it answered with the status {response.status_code}, which ends no request"
                )
            yield response

    def _request(
        self, origin: Origin, method: str, target: bytes, headers: RawHeaders, body: Body | None
    ) -> h11.Request:
        sent_target, added = self._connector.forwarded(origin, origin.path.encode() + target)
        if not any(name.lower() == b"content-length" for name, _ in headers):
            if isinstance(body, bytes):
                added = [*added, (b"content-length", str(len(body)).encode())]
            elif body is not None:
                added = [*added, (b"transfer-encoding", b"chunked")]
            elif method in METHODS_WITH_A_BODY:
                added = [*added, (b"content-length", b"0")]
        own = [(b"host", origin.authority.encode()), (b"connection", b"close")]
        try:
            return h11.Request(method=method.encode(), target=sent_target, headers=[*own, *headers, *added])
        except h11.LocalProtocolError as error:
            raise UnreachableError(f"the request is not HTTP: {error}") from error

    @asynccontextmanager
    async def _connected(self, origin: Origin, addresses: Iterable[Address]) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as stack:
            try:
                connection = await stack.enter_async_context(self._connector.open(origin, addresses))
            except (OSError, h11.ProtocolError) as error:
                raise UnreachableError(str(error) or type(error).__name__) from error
            yield connection


@asynccontextmanager
async def open_functions(
    *,
    allowed_hosts: Iterable[str],
    upstreams: Iterable[str],
    proxy_url: str | None,
    resolve: Resolve = resolve,
) -> AsyncIterator[Functions]:
    """Open the client for the life of the process; `upstreams` are the URLs that are never called."""
    async with AllowedHosts(allowed_hosts, upstreams, resolve) as allowed:
        yield Functions(Connector(proxy_url, resolve), allowed)
