"""Where functions may be called: the hosts that the operator allows, less the gateway's own upstreams.

A name has to match a pattern. What it resolves to may be a private address, but never one of this machine or of a
metadata service, unless that address itself is listed; and never where one of the upstreams is.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.records.hosts import Address, HostError, HostPattern, parse_host
from gateway.upstream.functions.addresses import is_safe, resolve

DEFAULT_PORTS = {"http": 80, "https": 443}
CLUSTER_DOMAIN = ".cluster.local"
"""Kubernetes' own; a Service answers with it and without."""
UPSTREAM_ADDRESSES_S = 30.0
"""For which the upstreams' addresses are remembered; Services keep theirs for life."""


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
        host = f"[{self.host}]" if not isinstance(self.host, str) and self.host.version == 6 else str(self.host)
        return host if DEFAULT_PORTS[self.scheme] == self.port else f"{host}:{self.port}"


class AllowedHosts:
    """Decides by URL, without DNS, and by address, for each call.

    `patterns` are those of INVOCATION_ALLOWED_HOSTS; `upstreams` the URLs of the systems behind the gateway.
    """

    def __init__(self, patterns: Iterable[str], upstreams: Iterable[str] = ()) -> None:
        self._patterns = [HostPattern.parse(pattern) for pattern in patterns]
        self._upstreams = set(map(_upstream, upstreams))
        self._upstream_names = {(_service_name(host), port) for host, port in self._upstreams}
        self._known: tuple[float, frozenset[tuple[Address, int]]] = (float("-inf"), frozenset())
        self._looking_up = asyncio.Lock()

    def check(self, url: str) -> Origin:
        """Read a URL that is allowed; HostNotAllowedError for any other. The name is not resolved here."""
        origin = read_origin(url)
        if not any(pattern.matches(origin.host, origin.port) for pattern in self._patterns):
            message = f"The host of {url!r} is not allowed; INVOCATION_ALLOWED_HOSTS lists those that are."
            raise HostNotAllowedError(message)
        if (_service_name(origin.host), origin.port) in self._upstream_names:
            raise HostNotAllowedError(f"{url!r} is one of the gateway's own upstreams, not a function.")
        return origin

    async def addresses(self, origin: Origin) -> list[Address]:
        """The addresses that may be connected to, in the order to try them.

        OSError where the name does not resolve, HostNotAllowedError where none of them may be.
        """
        found, upstreams = await asyncio.gather(resolve(origin.host, origin.port), self._upstream_addresses())
        allowed = [
            address
            for address in found
            if (address, origin.port) not in upstreams
            and (is_safe(address) or any(pattern.matches(address, origin.port) for pattern in self._patterns))
        ]
        if not allowed:
            raise HostNotAllowedError(f"{origin.host} leads to an address that is not allowed.")
        return allowed

    async def _upstream_addresses(self) -> frozenset[tuple[Address, int]]:
        """Where the upstreams are; one that does not resolve can't be called by anybody."""
        async with self._looking_up:
            until, known = self._known
            if time.monotonic() >= until:
                wanted = list(self._upstreams)
                answers = await asyncio.gather(*(resolve(*each) for each in wanted), return_exceptions=True)
                known = frozenset(
                    (address, port)
                    for (_, port), answer in zip(wanted, answers, strict=True)
                    if not isinstance(answer, BaseException)
                    for address in answer
                )
                self._known = (time.monotonic() + UPSTREAM_ADDRESSES_S, known)
            return known


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
    return host.removesuffix(CLUSTER_DOMAIN) if isinstance(host, str) else host
