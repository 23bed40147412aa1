"""Which headers pass between a caller and a function, and how a request's body is handed on."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from starlette.types import Receive, Scope

from gateway.services.calls import CallerError, RawHeaders

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, 7.6.1: between two ends of a connection, besides those that `connection` names."""
OURS = frozenset({b"authorization", b"cookie", b"host"})
"""Of a request: credentials for this origin are for the gateway, and the function has its own host."""
ORIGIN_WIDE = frozenset(
    {
        b"accept-ch",
        b"alt-svc",
        b"clear-site-data",
        b"nel",
        b"public-key-pins",
        b"report-to",
        b"reporting-endpoints",
        b"service-worker-allowed",
        b"set-cookie",
        b"set-cookie2",
        b"strict-transport-security",
    }
)
"""Of an answer: what would hold for the whole origin, which all functions and the explorer share."""
SANDBOX: RawHeaders = [(b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff")]
"""A page that a function answers has no origin and runs no scripts; its own policy can only add to that."""
LOOP_HEADER = b"cdn-loop"
LOOP_NAME = b"blue-faas-gateway"
"""RFC 8586: who passed a request on, so that one that comes round again is seen."""


def request_headers(scope: Scope, prefix: str) -> RawHeaders:
    """The headers a function gets; `prefix` is the path in front of the one it sees."""
    given: RawHeaders = list(scope["headers"])
    dropped = HOP_BY_HOP | OURS | _named_by_connection(given)
    replaced = {LOOP_HEADER, b"x-forwarded-for", b"x-forwarded-prefix"}
    kept = [(name, value) for name, value in given if name not in dropped | replaced]
    client = scope.get("client")
    passed = _values(given, b"x-forwarded-for")
    last = b",".join(passed).rpartition(b",")[2].strip()
    if client and last != client[0].encode():  # a trusted proxy's client is in it already
        passed.append(client[0].encode())
    kept.append((LOOP_HEADER, b", ".join([*_values(given, LOOP_HEADER), LOOP_NAME])))
    kept.append((b"x-forwarded-prefix", prefix.encode()))
    if passed:
        kept.append((b"x-forwarded-for", b", ".join(passed)))
    present = {name for name, _ in kept}
    if b"x-forwarded-proto" not in present:
        kept.append((b"x-forwarded-proto", scope["scheme"].encode()))
    if b"x-forwarded-host" not in present:
        kept += [(b"x-forwarded-host", value) for value in _values(given, b"host")]
    return kept


def times_passed(scope: Scope) -> int:
    """How often a gateway has passed this request on already."""
    return b",".join(_values(scope["headers"], LOOP_HEADER)).lower().count(LOOP_NAME)


def response_headers(given: RawHeaders, status_code: int) -> RawHeaders:
    """The headers a caller gets, in lower case as ASGI has them."""
    lowered = [(name.lower(), value) for name, value in given]
    dropped = HOP_BY_HOP | ORIGIN_WIDE | _named_by_connection(lowered) | {b"date"}  # the server gives its own
    if status_code in {204, 304}:
        dropped = dropped | {b"content-length"}  # of what is not sent
    kept = [(name, value) for name, value in lowered if name not in dropped | {b"x-content-type-options"}]
    return [*kept, *SANDBOX]


class RequestBody:
    """A request's body as it comes in, up to `max_bytes`, and after it the news that the caller has left."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._over = asyncio.Event()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The pieces; CallerError where the caller leaves or sends too much. Once closed, the rest is skipped."""
        try:
            while not self._over.is_set():
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise CallerError("the caller left before its request had ended")
                chunk: bytes = message.get("body", b"")
                self._received_bytes += len(chunk)
                if self._received_bytes > self._max_bytes:
                    raise CallerError(f"the request's body is longer than {self._max_bytes} bytes", 413)
                if not message.get("more_body", False):
                    self._over.set()
                if chunk:
                    yield chunk
        except (GeneratorExit, asyncio.CancelledError):
            self.skip_rest()
            raise

    def skip_rest(self) -> None:
        """Nobody will read what may still come."""
        self._over.set()

    async def caller_left(self) -> None:
        """Return when the caller has disconnected; what is left of a skipped body is thrown away."""
        await self._over.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    }


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
