"""Connections to functions, each for one call: to an address that was checked, or through the proxy.

They are sockets, without asyncio's transports: when a write fails, those drop what was not read yet, and a
function that answers early and closes its connection makes a write fail just after its answer.
"""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import h11
import httpx

from gateway.records.hosts import Address, parse_host
from gateway.upstream.functions.addresses import Resolve
from gateway.upstream.functions.hosts import DEFAULT_PORTS, Origin
from gateway.upstream.http import CONNECT_TIMEOUT_S

MAX_CONNECTIONS = 1_000
"""More calls than that under way at once wait; each may hold a socket for 15 minutes."""
READ_BYTES = 64 * 1024

T = TypeVar("T")


class Connection:
    """Bytes to and from a peer; both may be under way at once. Errors are OSErrors."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sending = asyncio.Lock()

    async def receive(self) -> bytes:
        """What has come in; nothing at the end."""
        return await asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)

    async def send(self, data: bytes) -> None:
        """Return once the system has taken it all."""
        async with self._sending:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def shut(self) -> None:
        """End what is under way in either direction."""
        with suppress(OSError):  # the peer was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; nothing may be under way."""
        self._socket.close()


class TlsConnection(Connection):
    """The same in TLS; `begin` comes first."""

    def __init__(self, plain: Connection, context: ssl.SSLContext, name: str) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def begin(self) -> None:
        """Shake hands."""
        await self._until_done(self._tls.do_handshake)

    async def receive(self) -> bytes:
        """What has come in; nothing at the end, which not every server announces."""
        try:
            return await self._until_done(lambda: self._tls.read(READ_BYTES))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def send(self, data: bytes) -> None:
        """Return once the system has taken it all."""
        if data:
            await self._until_done(lambda: self._tls.write(data))

    def shut(self) -> None:
        """End what is under way in either direction."""
        self._plain.shut()

    def close(self) -> None:
        """Give the socket back."""
        self._plain.close()

    async def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                if data := await self._plain.receive():
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._plain.send(self._outgoing.read())


class Connector:
    """Opens connections; what it says of a proxy holds where there is one."""

    def __init__(self, proxy_url: str | None, resolve: Resolve) -> None:
        self._context = httpx.create_ssl_context(trust_env=False)
        self._context.set_alpn_protocols(["http/1.1"])
        self._resolve = resolve
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._proxy: Origin | None = None
        self._credentials: list[tuple[bytes, bytes]] = []
        if proxy_url is not None:
            parts = urlsplit(proxy_url)
            port = parts.port or DEFAULT_PORTS[parts.scheme]
            self._proxy = Origin(scheme=parts.scheme, host=parse_host(parts.hostname or ""), port=port)
            if parts.username is not None:
                pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
                self._credentials = [(b"proxy-authorization", b"Basic " + base64.b64encode(pair))]

    @property
    def has_proxy(self) -> bool:
        """Whether it is the proxy that resolves and connects."""
        return self._proxy is not None

    def forwarded(self, origin: Origin, target: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """The target of a request and the headers it gets besides: a proxy is told where plain HTTP goes."""
        if self._proxy is None or origin.scheme == "https":
            return target, []
        return f"http://{origin.authority}".encode() + target, self._credentials

    @asynccontextmanager
    async def open(self, origin: Origin, addresses: Iterable[Address]) -> AsyncIterator[Connection]:
        """Connect to the first address that lets it; `addresses` are not looked at with a proxy."""
        async with self._free:
            if self._proxy is None:
                connection = await self._connect(origin, addresses)
            else:
                connection = await self._connect_through(self._proxy, origin)
            try:
                yield connection
            finally:
                connection.close()

    async def _connect(self, origin: Origin, addresses: Iterable[Address]) -> Connection:
        failure = OSError(f"{origin.host} has no address")
        for address in addresses:
            try:
                plain = await _dial(address, origin.port)
                return plain if origin.scheme == "http" else await self._secured(plain, origin)
            except TimeoutError:
                failure = OSError(f"no connection to {address} within {CONNECT_TIMEOUT_S:g} s")
            except OSError as error:
                failure = error
        raise failure

    async def _connect_through(self, proxy: Origin, origin: Origin) -> Connection:
        connection = await self._connect(proxy, await self._resolve(proxy.host, proxy.port))
        if origin.scheme == "http":
            return connection
        try:
            await self._ask_for_tunnel(connection, origin)
        except BaseException:
            connection.close()
            raise
        return await self._secured(connection, origin)

    async def _ask_for_tunnel(self, connection: Connection, origin: Origin) -> None:
        place = origin.endpoint.encode()
        http = h11.Connection(h11.CLIENT)
        request = h11.Request(method=b"CONNECT", target=place, headers=[(b"host", place), *self._credentials])
        await connection.send(http.send(request) or b"")
        http.send(h11.EndOfMessage())
        while not isinstance(event := http.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                http.receive_data(await connection.receive())
        if not 200 <= event.status_code < 300:
            raise OSError(f"the proxy answered CONNECT with the status {event.status_code}")

    async def _secured(self, plain: Connection, origin: Origin) -> Connection:
        secured = TlsConnection(plain, self._context, str(origin.host))
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await secured.begin()
        except BaseException:
            plain.close()
            raise
        return secured


async def _dial(address: Address, port: int) -> Connection:
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return Connection(sock)
