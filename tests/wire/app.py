"""The app that the wire tests talk to: the real view and server around a small schema of their own.

`python -m tests.wire.app` serves it as a process, for tests that send signals.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute

from gateway.records.origins import AllowedOrigins
from gateway.server import listen, run
from gateway.telemetry import configure_logging
from schema.context import Resources
from schema.engine import GatewaySchema, make_schema
from schema.transport.uploads import UploadTurns
from schema.transport.view import GraphQLView
from tests.wire.seen import Watched
from tests.wire.types import Mutation, Query, Subscription

MAX_BODY_BYTES = 200_000
MAX_UPLOAD_BYTES = 1_000_000


def make_test_schema(**options: Any) -> GatewaySchema:
    """The schema of types.py."""
    return make_schema(Query, Mutation, Subscription, **options)


def explorer(_request: Request) -> Response:
    """The page that browsers get."""
    return HTMLResponse("<title>explorer</title>")


def make_app(
    seen: Watched,
    draining: asyncio.Event,
    *,
    schema: GatewaySchema | None = None,
    upload_turns: UploadTurns | None = None,
    with_explorer: Callable[[Request], Response] | None = explorer,
) -> Starlette:
    """The view at /graphql, as the gateway mounts it."""
    view = GraphQLView(
        schema or make_test_schema(),
        cast("Resources", seen),
        max_body_bytes=MAX_BODY_BYTES,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        upload_turns=upload_turns or UploadTurns(),
        allowed_origins=AllowedOrigins(["https://console.example.com"]),
        draining=draining,
        explorer=with_explorer,
    )
    return Starlette(routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)])


def main() -> None:
    """Serve until SIGTERM; the arguments: the seconds requests under way get then, and the port (a free one)."""
    configure_logging("INFO")
    draining = asyncio.Event()
    run(
        make_app(Watched(), draining),
        listen("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0),
        draining=draining,
        drain_timeout_s=float(sys.argv[1]),
        max_body_bytes=MAX_BODY_BYTES,
    )


if __name__ == "__main__":
    main()
