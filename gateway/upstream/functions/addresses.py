"""Which addresses a function's name may lead to: private ones, but none of this machine or of the cloud itself."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from gateway.records.hosts import Address, parse_host

Resolve = Callable[[str | Address, int], Awaitable[tuple[Address, ...]]]
"""`resolve`, or what tests have in its place."""

_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # "this host": Linux connects 0.0.0.0 to itself
        "100.100.100.200/32",  # Alibaba Cloud's metadata
        "168.63.129.16/32",  # Azure's
        "192.0.0.192/32",  # Oracle Cloud's
        "fd00:ec2::/32",  # AWS's by IPv6, with its credentials and name servers
        "fd20:ce::/32",  # Google Cloud's
        "64:ff9b::/96",  # IPv4 behind NAT64, whatever it is there
        "64:ff9b:1::/48",  # the same, locally assigned
        "2001::/32",  # Teredo, which carries IPv4 too
        "2002::/16",  # 6to4, which does so as well
    )
)
"""Besides loopback, link-local (169.254.169.254 and its kin), multicast and reserved ones."""


def is_safe(address: Address) -> bool:
    """Whether a name that is allowed may lead here without the address being listed."""
    if (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
    ):
        return False
    return not any(address in network for network in _REFUSED if network.version == address.version)


async def resolve(host: str | Address, port: int) -> tuple[Address, ...]:
    """The addresses of a host in the order to try them; OSError where it has none."""
    if not isinstance(host, str):
        return (host,)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local IPv6 address comes with its zone, which only says through which interface it is reached.
    parsed = (parse_host(str(address[0]).partition("%")[0]) for *_, address in found)
    return tuple(dict.fromkeys(address for address in parsed if not isinstance(address, str)))
