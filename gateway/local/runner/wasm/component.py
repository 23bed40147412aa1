"""A loaded component: one request after the other, each in a fresh instance, and its interruption."""

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wasmtime import Config, Engine, Store
from wasmtime.component import Component, Variant

from gateway.local.runner.wasm import lists
from gateway.local.runner.wasm.http import Fields, Incoming, Outgoing
from gateway.local.runner.wasm.instance import Grants, GuestError, Instance
from gateway.local.runner.wasm.linking import link

HANDLER = "wasi:http/incoming-handler@0.2.0"
CONFIGURATION = "epoch_interruption"
"""What `make_engine` sets, in words: part of the key of compiled components."""


class ComponentError(Exception):
    """The component can't be served; the message says why."""


class ExecutionError(Exception):
    """The request ended without a response; the message is for the function's author."""


@dataclass(frozen=True, slots=True)
class Response:
    """What the guest answered."""

    status: int
    headers: list[tuple[str, bytes]]
    body: bytes


def make_engine() -> Engine:
    """The engine components are compiled for and run in: these two have to agree."""
    config = Config()
    config.epoch_interruption = True
    return Engine(config)


class LoadedComponent:
    """A component ready to answer; `handle` on one thread, `interrupt` from any."""

    def __init__(self, compiled: Path, grants: Grants, write_output: Callable[[int, bytes], None]) -> None:
        lists.install()
        for package in ("io", "system", "http", "outgoing"):
            importlib.import_module(f"gateway.local.runner.wasm.{package}")  # registers its host functions
        self._grants = grants
        self._write_output = write_output
        self._engine = make_engine()
        self._component = Component.deserialize_file(self._engine, str(compiled))
        self._linker = link(self._engine, self._component, self._current_instance)
        handler = self._component.get_export_index(HANDLER)
        if handler is None:
            raise ComponentError(f"the component does not export {HANDLER}")
        handle = self._component.get_export_index("handle", handler)
        if handle is None:
            raise ComponentError(f"{HANDLER} has no handle")
        self._handle = handle
        self._instance: Instance | None = None
        self._request: int | None = None
        self._lock = threading.Lock()

    def _current_instance(self) -> Instance:
        if self._instance is None:
            raise GuestError("the component calls its host outside of a request")
        return self._instance

    def handle(self, request: int, incoming: Incoming) -> Response:
        """Run one request, known to `interrupt` by its number; ExecutionError without a response."""
        instance = Instance(self._grants, self._write_output)
        with self._lock:
            self._instance, self._request = instance, request
            store = Store(self._engine)
            # One tick from now: the epoch moves only when a request is interrupted.
            store.set_epoch_deadline(1)
        try:
            store.set_limits(memory_size=self._grants.memory_bytes)
            self._call_guest(store, instance, incoming)
        except Exception as error:
            if instance.alarm.interrupted:
                raise ExecutionError("stopped: the caller has gone or the time is over") from error
            raise ExecutionError(_reason(error)) from error
        finally:
            with self._lock:
                self._request = None
            store.close()
        return _response(instance)

    def _call_guest(self, store: Store, instance: Instance, incoming: Incoming) -> None:
        guest = self._linker.instantiate(store, self._component)
        handle = guest.get_func(store, self._handle)
        if handle is None:
            raise ComponentError(f"{HANDLER} has a handle that is not a function")
        handle(store, instance.own("incoming-request", incoming), instance.own("response-outparam", None))

    def interrupt(self, request: int) -> None:
        """End a request that is running, be it in the guest's code or in a wait of the host's."""
        with self._lock:
            if self._request == request and self._instance is not None:
                self._instance.alarm.interrupt()
                self._engine.increment_epoch()


def _response(instance: Instance) -> Response:
    outgoing = instance.response
    if outgoing is None:
        raise ExecutionError("the function returned without a response")
    if isinstance(outgoing, Variant):
        raise ExecutionError(f"the function answered with the error {outgoing.tag}")
    if not isinstance(outgoing, Outgoing):
        raise ExecutionError("the function's response is not a response")
    headers: Fields = outgoing.headers
    body = b"" if outgoing.body is None else bytes(outgoing.body.content)
    return Response(outgoing.status, headers.entries, body)


def _reason(error: Exception) -> str:
    """The cause of a trap without the addresses before it, which mean nothing to a function's author."""
    return str(error).strip().rpartition("\n")[2].strip() or type(error).__name__
