"""Binds a component's imports to the host functions, by the types the component itself declares."""

from collections.abc import Callable
from typing import Any

from wasmtime import Engine, StoreContext
from wasmtime.component import Component, FuncType, Linker, ResourceAny, ResourceType, ResultType, Variant

from gateway.local.runner.wasm.instance import (
    HOST_FUNCTIONS,
    KIND,
    GuestError,
    HostFunction,
    Instance,
    WitError,
)

# WASI's own aliases of one resource type.
_SAME_TYPE = {"headers": "fields", "trailers": "fields", "io-error": "error"}


def link(engine: Engine, component: Component, current: Callable[[], Instance]) -> Linker:
    """Make the component's linker; host functions get the `current()` instance.

    What the host does not have is bound too: calling it fails with its name (GuestError), importing it does not.
    """
    linker = Linker(engine)
    kinds = dict(KIND)

    def drop(_: StoreContext, number: int) -> None:
        current().drop(number)

    with linker.root() as root:
        for name, imported in component.type.imports(engine).items():
            interface, _, _ = name.partition("@")
            with root.add_instance(name) as target:
                for item, kind in _exports(imported, engine).items():
                    if isinstance(kind, ResourceType):
                        known = interface.startswith("wasi:")
                        key = _SAME_TYPE.get(item, item) if known else f"{name} {item}"
                        number = kinds.setdefault(key, len(kinds) + 1)
                        target.add_resource(item, ResourceType.host(number), drop)
                    elif isinstance(kind, FuncType):
                        function = HOST_FUNCTIONS.get(f"{interface} {item}") or _missing(name, item)
                        target.add_func(item, _bind(function, kind.result, current))
    return linker


def _exports(imported: Any, engine: Engine) -> dict[str, Any]:
    return {
        item: getattr(kind, "ty", kind) for item, kind in getattr(imported, "ty", imported).exports(engine).items()
    }


def _missing(name: str, item: str) -> HostFunction:
    def fail(*_: Any) -> None:
        raise GuestError(f"the host function {name} {item} is not available on this machine")

    return fail


def _bind(function: HostFunction, result: Any, current: Callable[[], Instance]) -> Callable[..., Any]:
    """Translate handles into resources, and WitError into the result's `err`.

    wasmtime-py wants a Variant only where the Python types of `ok` and `err` don't tell the cases apart.
    """
    fallible = isinstance(result, ResultType)
    # Private, and the library's own rule: computing it anew would only drift from it.
    tagged = isinstance(result, ResultType) and result._tagged()  # noqa: SLF001

    def call(store: StoreContext, *arguments: Any) -> Any:
        instance = current()
        try:
            value = function(instance, *(_resolve(instance, store, argument) for argument in arguments))
        except WitError as error:
            if not fallible:
                raise
            return Variant("err", error.payload) if tagged else error.payload
        return Variant("ok", value) if tagged else value

    return call


def _resolve(instance: Instance, store: StoreContext, value: Any) -> Any:
    if isinstance(value, ResourceAny):
        return instance.resource(value.to_host(store).rep)
    if isinstance(value, list):
        return [_resolve(instance, store, item) for item in value]
    return value
