"""One request a guest sends to another host: what it is made of, whether it may go there, and the exchange itself.

The exchange runs in a thread of its own, so that the guest's wait for it can be interrupted.
"""

import fnmatch
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wasmtime.component import Variant

from gateway.local.runner.wasm.http import Fields
from gateway.local.runner.wasm.instance import Alarm
from gateway.local.runner.wasm.io import BODY_LIMIT_BYTES, Body

TIMEOUT_S = 30.0
"""Seconds without a byte after which a call fails, unless the guest chose less; Spin's is 30 too."""

PORTS = {"http": 80, "https": 443}
"""The schemes a guest may use, and their ports."""

_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"}


@dataclass(slots=True)
class OutgoingRequest:
    """A request the guest makes."""

    headers: Fields
    method: Variant = field(default_factory=lambda: Variant("get"))
    scheme: Variant | None = None
    authority: str | None = None
    path: str | None = None
    body: Body | None = None

    def scheme_name(self) -> str:
        """`https` unless another was set, in lower case."""
        if self.scheme is None:
            return "https"
        return str(self.scheme.payload or self.scheme.tag).lower()


@dataclass(slots=True)
class RequestOptions:
    """The guest's time limits, in nanoseconds."""

    connect_timeout: int | None = None
    first_byte_timeout: int | None = None
    between_bytes_timeout: int | None = None

    def timeout_s(self) -> float:
        """The shortest of them: the client has one limit for each step."""
        limits = (self.connect_timeout, self.first_byte_timeout, self.between_bytes_timeout)
        return min([TIMEOUT_S, *(limit / 1e9 for limit in limits if limit is not None)])


@dataclass(slots=True)
class IncomingResponse:
    """A response the guest reads."""

    status: int
    headers: Fields
    body: bytes
    consumed: bool = False


@dataclass(slots=True)
class Exchange:
    """A request under way; `outcome` is the response, or the error-code it ended with."""

    request: OutgoingRequest
    timeout_s: float
    alarm: Alarm
    outcome: IncomingResponse | Variant | None = None
    taken: bool = False

    def wait_s(self) -> float | None:
        """A pollable: ready when there is an outcome."""
        return None if self.outcome is None else 0.0

    def body_finished(self, complete: bool) -> None:
        """Send the request, now that its body is written; an unfinished body ends it."""
        if complete:
            threading.Thread(target=self._run, daemon=True).start()
        else:
            self._end(Variant("HTTP-protocol-error"))

    def _run(self) -> None:
        try:
            self._end(_exchange(self.request, self.timeout_s))
        except socket.gaierror:
            self._end(Variant("destination-not-found"))
        except ConnectionRefusedError:
            self._end(Variant("connection-refused"))
        except TimeoutError:
            self._end(Variant("connection-timeout"))
        except ConnectionError:
            self._end(Variant("connection-terminated"))
        except Exception as error:  # whatever it is, the guest waits for an outcome
            self._end(Variant("internal-error", f"{type(error).__name__}: {error}"))

    def _end(self, outcome: IncomingResponse | Variant) -> None:
        self.outcome = outcome
        self.alarm.ring()


def is_allowed(scheme: str, authority: str, allowed: Sequence[str]) -> bool:
    """Whether Spin's `allowed_outbound_hosts` has the destination: `scheme://host[:port]`, `*` for any part."""
    target = urlsplit(f"//{authority}")
    host, port = target.hostname or "", target.port or PORTS.get(scheme)
    for entry in allowed:
        entry_scheme, _, rest = entry.rpartition("://")
        entry_host, _, entry_port = rest.rstrip("/").partition(":")
        if entry_scheme not in {"*", scheme} or not fnmatch.fnmatchcase(host, entry_host.lower()):
            continue
        if entry_port == "*" or (entry_port or str(PORTS.get(scheme))) == str(port):
            return True
    return False


def _exchange(request: OutgoingRequest, timeout_s: float) -> IncomingResponse | Variant:
    """Send and receive; blocks for `timeout_s` at most at each step."""
    import http.client  # costs 40 ms, which the start of a function that calls nobody should not pay

    secure = request.scheme_name() == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = connect(request.authority or "", timeout=timeout_s)
    try:
        method = str(request.method.payload or request.method.tag.upper())
        connection.putrequest(method, request.path or "/", skip_accept_encoding=True)
        for name, value in request.headers.entries:
            if name.lower() not in _HOP_BY_HOP:
                connection.putheader(name, value)
        content = bytes(request.body.content) if request.body is not None else b""
        if content or method in {"POST", "PUT", "PATCH"}:
            connection.putheader("content-length", str(len(content)))
        connection.endheaders(content or None)
        response = connection.getresponse()
        body = response.read(BODY_LIMIT_BYTES + 1)
        if len(body) > BODY_LIMIT_BYTES:
            return Variant("HTTP-response-body-size", BODY_LIMIT_BYTES)
        headers = [(name.lower(), value.encode("latin-1")) for name, value in response.getheaders()]
        return IncomingResponse(response.status, Fields(headers, mutable=False), body)
    finally:
        connection.close()
