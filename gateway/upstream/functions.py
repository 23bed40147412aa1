"""The deployed functions: HTTP calls to addresses that are allowed, and to no others.

A host has to match a pattern; what a matching name resolves to may be a private address, but never one of this
machine or a metadata service, unless that address itself is listed. The address that was checked is the one that
is connected to. Redirects are not followed, answers are bounded, connections are not kept, so that Kubernetes
spreads the load.
"""

import asyncio
import fnmatch
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx

from gateway.errors import InvalidInputError
from gateway.telemetry import record_call
from gateway.upstream.http import CONNECT_TIMEOUT_S

MAX_RESPONSE_BYTES = 10 * 1024 * 1024
"""Read of an answer at the most; what a log keeps of it is far less."""


class UnreachableError(Exception):
    """The function could not be connected to, or broke off."""


class InvocationTimeoutError(Exception):
    """The function did not answer in its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionAnswer:
    """What a function answered."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool


class AllowedHosts:
    """The hosts functions may be called at: names, `*.` patterns or addresses, each with an optional `:port`."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = [_split_pattern(pattern) for pattern in patterns]

    def check(self, url: str, *, field: str | None = None) -> SplitResult:
        """Refuse a URL that names no allowed host; the name is not resolved here."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise InvalidInputError(f"{url!r} is no URL: {error}.", field=field) from error
        if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
            message = f"{url!r} must be an http:// or https:// URL with a host and without credentials."
            raise InvalidInputError(message, field=field)
        if not self._matches(host, port or (443 if parts.scheme == "https" else 80)):
            raise InvalidInputError(
                f"The host of {url!r} is not allowed; INVOCATION_ALLOWED_HOSTS lists those that are.", field=field
            )
        return parts

    def allows_address(self, address: str, port: int) -> bool:
        """Whether a name that matched may lead to this address."""
        ip = ipaddress.ip_address(address)
        unsafe = ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved
        mapped = getattr(ip, "ipv4_mapped", None)
        if mapped is not None:
            return self.allows_address(str(mapped), port)
        return not unsafe or self._matches(address, port)

    def _matches(self, host: str, port: int) -> bool:
        return any(
            fnmatch.fnmatchcase(host.lower(), name) and wanted in {None, port} for name, wanted in self._patterns
        )


class Functions:
    """Calls functions; with a proxy it is the proxy that resolves and connects."""

    def __init__(self, client: httpx.AsyncClient, allowed: AllowedHosts, *, through_proxy: bool) -> None:
        self._client = client
        self._allowed = allowed
        self._through_proxy = through_proxy

    def check_url(self, url: str, *, field: str | None = None) -> None:
        """Refuse an invocation URL that could never be called."""
        self._allowed.check(url, field=field)

    async def call(
        self,
        url: str,
        *,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
    ) -> FunctionAnswer:
        """One request to a function, `path` being appended to its URL.

        InvocationTimeoutError after `timeout_s` in all, UnreachableError where nothing answers.
        """
        parts = self._allowed.check(url, field="invocationUrl")
        target, host = await self._target(parts)
        record_call("functions", method)
        request = self._client.build_request(
            method,
            target + parts.path.rstrip("/") + path,
            headers={**headers, "host": host},
            content=body,
            extensions={"sni_hostname": parts.hostname},
        )
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._client.send(request, stream=True)
                try:
                    content, truncated = await _read_bounded(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.ReadTimeout) as error:
            raise InvocationTimeoutError(f"no answer within {timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        return FunctionAnswer(
            status_code=response.status_code, headers=response.headers, body=content, truncated=truncated
        )

    async def _target(self, parts: SplitResult) -> tuple[str, str]:
        """The base URL to connect to, and the Host header; the name is resolved once, and checked."""
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        authority = parts.netloc
        if self._through_proxy:
            return f"{parts.scheme}://{authority}", authority
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise UnreachableError(f"{host} does not resolve: {error}") from error
        for *_, address in found:
            if self._allowed.allows_address(str(address[0]), port):
                literal = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
                return f"{parts.scheme}://{literal}:{port}", authority
        raise UnreachableError(f"{host} leads to an address that is not allowed")


@asynccontextmanager
async def open_functions(*, allowed_hosts: Iterable[str], proxy_url: str | None) -> AsyncIterator[Functions]:
    """Open the client for the life of the process."""
    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=0)
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
    async with httpx.AsyncClient(timeout=timeout, limits=limits, proxy=proxy_url, trust_env=False) as client:
        yield Functions(client, AllowedHosts(allowed_hosts), through_proxy=proxy_url is not None)


async def _read_bounded(response: httpx.Response) -> tuple[bytes, bool]:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES:
            return bytes(content[:MAX_RESPONSE_BYTES]), True
    return bytes(content), False


def _split_pattern(pattern: str) -> tuple[str, int | None]:
    name, separator, port = pattern.rpartition(":")
    if separator and port.isdigit():
        return name.strip("[]").lower(), int(port)
    return pattern.strip("[]").lower(), None
