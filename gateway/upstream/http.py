"""The HTTP client that the clients of Loki, Prometheus, the Builder Service and Kubernetes share."""

import ssl

import httpx

from gateway.telemetry import record_call

CONNECT_TIMEOUT_S = 2.0
"""Everything is in the same cluster: what does not accept a connection in 2 s is down."""

READ_TIMEOUT_S = 10.0
"""Longer than any answer a page waits for; builds, deploys and invocations bring their own."""


def open_http_client(
    system: str,
    base_url: str,
    *,
    verify: ssl.SSLContext | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Make the one client of `system` for the life of the process; each request is recorded as `METHOD /path`.

    `transport` is the seam for tests that want to see or answer requests themselves.
    """

    async def note(request: httpx.Request) -> None:
        record_call(system, f"{request.method} {request.url.path}")

    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        event_hooks={"request": [note]},
        follow_redirects=False,
        trust_env=False,
        verify=True if verify is None else verify,
        transport=transport,
    )
