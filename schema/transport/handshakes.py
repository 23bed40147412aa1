"""The handshake of a socket: which protocol is spoken, and to whom."""

import logging

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from strawberry.http.websocket_origin import is_same_origin

from gateway.records.origins import AllowedOrigins
from schema.transport.operations import Operations
from schema.transport.websockets import Connection

PROTOCOL = "graphql-transport-ws"

logger = logging.getLogger(__name__)


async def serve_socket(
    operations: Operations, allowed_origins: AllowedOrigins, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a socket from its handshake on: 403 for pages of other origins, 4406 for other protocols."""
    if (await receive())["type"] != "websocket.connect":
        return
    if not _is_allowed(scope, allowed_origins):
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    is_spoken = PROTOCOL in scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": PROTOCOL if is_spoken else None, "headers": []})
    connection = Connection(operations, scope, receive, send)
    if is_spoken:
        await connection.run()
    else:
        await connection.close(4406, "Subprotocol not acceptable")


def _is_allowed(scope: Scope, allowed: AllowedOrigins) -> bool:
    """Whether it comes from no page, from one of this host, or from an allowed origin.

    Browsers let any page open sockets, and send cookies along: only the server can refuse.
    """
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None or headers.get("sec-fetch-site") == "same-origin":
        return True
    if is_same_origin(origin, headers.get("host")) or allowed.has(origin):
        return True
    logger.warning("a page of %r may not open sockets: CORS_ORIGINS does not name it", origin)
    return False
