"""Where functions may be called: the hosts that the operator allows, less the gateway's own upstreams.

A name has to match a pattern. What it resolves to may be a private address, but never one of this machine or of a
metadata service, unless that address itself is listed; and never where one of the upstreams is.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, urlsplit

from gateway.records.hosts import Address, HostError, HostPattern, parse_host
from gateway.upstream.functions.addresses import Resolve, is_safe, resolve
from gateway.upstream.functions.known_addresses import KnownAddresses

DEFAULT_PORTS = {"http": 80, "https": 443}
CLUSTER_DOMAIN = ".cluster.local"
"""Kubernetes' own; a Service answers with it and without."""
THIS_MACHINE = "localhost"
"""The one name that says nothing about what listens at its other ports."""


class HostNotAllowedError(Exception):
    """A URL that functions must not be called at; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a URL leads, in one spelling."""

    scheme: str
    host: str | Address
    port: int
    path: str = ""
    """In front of the path of a call, without a slash at its end."""

    @property
    def authority(self) -> str:
        """As the Host header has it."""
        return self._host_text if DEFAULT_PORTS[self.scheme] == self.port else self.endpoint

    @property
    def endpoint(self) -> str:
        """Host and port, as CONNECT has them."""
        return f"{self._host_text}:{self.port}"

    @property
    def _host_text(self) -> str:
        return f"[{self.host}]" if not isinstance(self.host, str) and self.host.version == 6 else str(self.host)


class AllowedHosts:
    """Decides by URL, without DNS, and by address, for each call.

    `patterns` are those of INVOCATION_ALLOWED_HOSTS; `upstreams` the URLs of the systems behind the gateway.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        upstreams: Iterable[str] = (),
        resolve: Resolve = resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patterns = [HostPattern.parse(pattern) for pattern in patterns]
        places = set(map(_upstream, upstreams))
        self._upstreams = {(_service_name(host), port) for host, port in places}
        self._upstream_names = {
            host for host, _ in self._upstreams if isinstance(host, str) and host != THIS_MACHINE
        }
        self._resolve = resolve
        self._known = KnownAddresses(places, resolve, monotonic)

    async def __aenter__(self) -> Self:
        """Start looking up where the upstreams are."""
        self._known.refresh()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        await self._known.close()

    def check(self, url: str) -> Origin:
        """Read a URL that is allowed; HostNotAllowedError for any other. The name is not resolved here."""
        origin = read_origin(url)
        if not any(pattern.matches(origin.host, origin.port) for pattern in self._patterns):
            message = f"The host of {url!r} is not allowed; INVOCATION_ALLOWED_HOSTS lists those that are."
            raise HostNotAllowedError(message)
        if self._is_upstream(origin):
            raise HostNotAllowedError(f"{url!r} is one of the gateway's own upstreams, not a function.")
        return origin

    async def addresses(self, origin: Origin) -> list[Address]:
        """The addresses that may be connected to, in the order to try them.

        OSError where the name does not resolve, HostNotAllowedError where none of them may be.
        """
        found, upstreams = await asyncio.gather(self._resolve(origin.host, origin.port), self._known.addresses())
        allowed = [
            address
            for address in found
            if (address, origin.port) not in upstreams
            and (is_safe(address) or any(pattern.matches(address, origin.port) for pattern in self._patterns))
        ]
        if not allowed:
            raise HostNotAllowedError(f"{origin.host} leads to an address that is not allowed.")
        return allowed

    def _is_upstream(self, origin: Origin) -> bool:
        """Whether a URL names one, or one of a headless Service's pods, whose names are below its own.

        What has a name has no functions at its other ports. A single label is no name to be below: to another
        namespace's Services it is their namespace.
        """
        name = _service_name(origin.host)
        if (name, origin.port) in self._upstreams or name in self._upstream_names:
            return True
        return isinstance(name, str) and any(
            "." in upstream and name.endswith(f".{upstream}") for upstream in self._upstream_names
        )


def read_origin(url: str) -> Origin:
    """Read an absolute http or https URL without credentials, query and fragment, or raise HostNotAllowedError."""
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _host_of(url, parts)
    except ValueError as error:  # HostError among them
        raise HostNotAllowedError(f"{url!r} is no URL: {error}.") from error
    if parts.scheme not in DEFAULT_PORTS or port == 0:
        raise HostNotAllowedError(f"{url!r} must be an http:// or https:// URL with a host and a port above 0.")
    path = parts.path.rstrip("/")
    return Origin(scheme=parts.scheme, host=host, port=port or DEFAULT_PORTS[parts.scheme], path=path)


def _host_of(url: str, parts: SplitResult) -> str | Address:
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise HostError("it has a space, a control character or a backslash")
    if "@" in parts.netloc:
        raise HostError("it must not carry credentials")
    if "?" in url or "#" in url:
        raise HostError("it must have no query and no fragment")
    if not parts.netloc.isascii():  # before it is put in lower case, which makes ASCII of some
        raise HostError("its host has to be written in ASCII, such as xn--…")
    if not parts.hostname:
        raise HostError("it has no host")
    host = parse_host(parts.hostname)
    if parts.netloc.startswith("[") and isinstance(host, str):
        raise HostError("what is in brackets is no IPv6 address")
    return host


def _upstream(url: str) -> tuple[str | Address, int]:
    """Where an upstream is; how the operator writes its URL is not held against it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parse_host(host), parts.port or DEFAULT_PORTS[parts.scheme]
    except HostError:
        return host, parts.port or DEFAULT_PORTS[parts.scheme]


def _service_name(host: str | Address) -> str | Address:
    """The short one of a Service, `name.namespace`; any other host as it is."""
    return host.removesuffix(CLUSTER_DOMAIN).removesuffix(".svc") if isinstance(host, str) else host
