"""Hosts as settings and URLs name them: exactly one spelling of each, so that comparing them is safe."""

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from typing import NoReturn

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOST_CHARACTERS = 253
"""DNS's limit for a name."""
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes calls namespaces and service accounts by; other hosts may have underscores too."""
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label like this makes the C library read the whole name as an IPv4 address: 127.1, 0x7f.1, 2130706433."""


class HostError(ValueError):
    """This is no host, port or pattern; the message says why."""


def parse_host(text: str) -> str | Address:
    """A DNS name in lower case without its trailing dot, or an address; IPv6 is given without its brackets.

    Refused: other spellings of IPv4 (octal, hexadecimal, fewer parts), zone ids, names that are not ASCII.
    """
    if "%" in text:
        _refuse(text, "has a percent sign, be it an escape or a zone id")
    with contextlib.suppress(ValueError):  # a name, if anything
        return _unmapped(ipaddress.ip_address(text))
    if not text.isascii():
        _refuse(text, "has to be written in ASCII, such as xn--…")
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse(text, "is no host name")
    if _NUMERIC.fullmatch(labels[-1]):
        _refuse(text, "is no IPv4 address of four decimal numbers")
    return name


def _unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped one (::ffff:a.b.c.d) stands for."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _refuse(text: str, reason: str) -> NoReturn:
    raise HostError(f"{text[:100]!r} {reason}")


@dataclass(frozen=True, slots=True)
class HostPattern:
    """Names or one address that may be called, on one port or on any.

    In a name `*` stands for any characters, dots included; it never stands for an address.
    """

    host: str | Address
    port: int | None
    _regex: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> "HostPattern":
        """Read `name`, `*.name`, `1.2.3.4`, `::1` or `[::1]`, each but `::1` with an optional `:port`."""
        host, port = _split_port(text)
        if "*" not in host:
            return cls(parse_host(host), port)
        parse_host(host.replace("*", "x"))  # what is around the stars has to be a name
        name = host.lower().removesuffix(".")
        return cls(name, port, re.compile(".*".join(map(re.escape, name.split("*")))))

    def matches(self, host: str | Address, port: int) -> bool:
        """Whether a host, as parse_host answers it, and a port are meant."""
        if self.port not in {None, port}:
            return False
        if self._regex is not None:
            return isinstance(host, str) and self._regex.fullmatch(host) is not None
        return self.host == host


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            _refuse(text, "is no address in brackets")
        return host, _port(text, rest[1:]) if rest else None
    if text.count(":") > 1:
        return text, None  # an IPv6 address without brackets can't have a port
    host, colon, port = text.partition(":")
    return host, _port(text, port) if colon else None


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        _refuse(text, "has no port of 1 to 65535 after its colon")
    return int(port)
