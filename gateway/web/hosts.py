"""Which hosts a request may name, where only some are this gateway's.

A page whose name was made to lead to this machine (DNS rebinding) would count as one of ours; its browser sends
that name as the host.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.web.errors import BAD_REQUEST, error_response

MAX_SHOWN_CHARACTERS = 100


class OwnHostsMiddleware:
    """Refuses requests and sockets for other hosts than `hosts`, on whatever port."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it with 400."""
        named = Headers(scope=scope).get("host", "") if scope["type"] in {"http", "websocket"} else None
        if named is None or _host_of(named) in self._hosts:
            await self._app(scope, receive, send)
            return
        message = (
            f"This gateway is for its own machine alone, and {named[:MAX_SHOWN_CHARACTERS]!r} is none of "
            "that one's names. If it should be served, set PUBLIC_URL to it, or listen there with --host."
        )
        await error_response(400, BAD_REQUEST, message)(scope, receive, send)


def _host_of(header: str) -> str | None:
    """The host of a Host header in lower case, IPv6 without its brackets; None where it has none."""
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None
