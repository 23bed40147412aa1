"""The state of one request in the host: its resources, what it waits for, and how it is interrupted.

A host function is registered under `package/interface name` as the WIT spells it and gets the Instance first.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from wasmtime.component import ResourceHost

RESOURCE_TYPES = (
    "error",
    "pollable",
    "input-stream",
    "output-stream",
    "terminal-input",
    "terminal-output",
    "fields",
    "incoming-request",
    "outgoing-request",
    "request-options",
    "response-outparam",
    "incoming-response",
    "incoming-body",
    "future-trailers",
    "outgoing-response",
    "outgoing-body",
    "future-incoming-response",
)
KIND = {name: number for number, name in enumerate(RESOURCE_TYPES, start=1)}
"""The host's number of each resource type, which tells them apart for wasmtime."""

HostFunction = Callable[..., Any]
HOST_FUNCTIONS: dict[str, HostFunction] = {}
"""Every function the host offers, by `package/interface name`; filled by `host_function`."""


def host_function(*names: str) -> Callable[[HostFunction], HostFunction]:
    """Register a host function under each of `names`."""

    def register(function: HostFunction) -> HostFunction:
        for name in names:
            HOST_FUNCTIONS[name] = function
        return function

    return register


class WitError(Exception):
    """The `err` of a WIT result; `payload` is None where the case carries nothing."""

    def __init__(self, payload: Any = None) -> None:
        super().__init__(payload)
        self.payload = payload


class InterruptedRequestError(Exception):
    """The caller has gone or the time is over: the guest is not to go on."""


class GuestError(Exception):
    """The guest asked for what this host does not do; the message is for the function's author."""


class Pollable(Protocol):
    """What a guest can wait for."""

    def wait_s(self) -> float | None:
        """Seconds until it is ready, 0 when it is; None when something else has to happen first."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A pollable that never makes anybody wait."""

    def wait_s(self) -> float | None:
        """Always 0."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A pollable that is ready at a moment of the monotonic clock."""

    at_ns: int

    def wait_s(self) -> float | None:
        """Seconds left."""
        return max(0, self.at_ns - time.monotonic_ns()) / 1e9


class Alarm:
    """Wakes the waiting guest: something it may wait for has happened, or it is interrupted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._interrupted = False

    def ring(self) -> None:
        """Have the waiter look again."""
        with self._changed:
            self._changed.notify_all()

    def interrupt(self) -> None:
        """End the wait, and every later one, with InterruptedRequestError."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    @property
    def interrupted(self) -> bool:
        """Whether the request is not to go on."""
        return self._interrupted

    def wait(self, pollables: Sequence[Pollable]) -> list[int]:
        """Block until one of `pollables` is ready; the indices of those that are."""
        with self._changed:
            while True:
                if self._interrupted:
                    raise InterruptedRequestError
                waits = [pollable.wait_s() for pollable in pollables]
                ready = [index for index, wait in enumerate(waits) if wait == 0]
                if ready:
                    return ready
                self._changed.wait(min((wait for wait in waits if wait is not None), default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What a function is given: variables, hosts it may call, and memory in bytes."""

    environment: dict[str, str]
    variables: dict[str, str]
    allowed_outbound_hosts: tuple[str, ...]
    memory_bytes: int


@dataclass(slots=True)
class Instance:
    """One request's view of the host; `response` is what the guest has set."""

    grants: Grants
    write_output: Callable[[int, bytes], None]
    alarm: Alarm = field(default_factory=Alarm)
    response: Any = None
    _resources: dict[int, Any] = field(default_factory=dict)
    _last: int = 0

    def own(self, kind: str, resource: Any) -> ResourceHost:
        """Hand `resource` to the guest as an owned resource of type `kind`."""
        self._last += 1
        self._resources[self._last] = resource
        return ResourceHost.own(self._last, KIND[kind])

    def resource(self, number: int) -> Any:
        """The resource behind a handle."""
        return self._resources[number]

    def drop(self, number: int) -> None:
        """Forget a resource the guest has dropped; its `dropped()` is told, if it has one."""
        resource = self._resources.pop(number, None)
        if hasattr(resource, "dropped"):
            resource.dropped()
