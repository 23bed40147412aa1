"""wasi:http/types 0.2.0, the server's half: fields, the incoming request and the outgoing response.

What a guest sends itself is in `outgoing`. Trailers are accepted and not passed on: no caller of a function
reads them.
"""

from dataclasses import dataclass
from typing import Any

from wasmtime.component import ResourceHost, Variant

from gateway.local.runner.frames import is_field
from gateway.local.runner.wasm.instance import Instance, Ready, WitError, host_function
from gateway.local.runner.wasm.io import Body, InputStream, OutputStream

TYPES = "wasi:http/types "
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


@dataclass(slots=True)
class Fields:
    """Header fields in order, a name as often as it was given."""

    entries: list[tuple[str, bytes]]
    mutable: bool = True

    def check_mutable(self) -> None:
        """Raise WitError (immutable) on the headers of something received."""
        if not self.mutable:
            raise WitError(Variant("immutable"))

    def remove(self, name: str) -> None:
        """Drop every field of that name."""
        self.entries = [entry for entry in self.entries if entry[0].lower() != name.lower()]


@dataclass(slots=True)
class Incoming:
    """A request as the guest reads it; its body can be consumed once."""

    method: str
    path: str
    authority: str
    headers: Fields
    body: bytes
    consumed: bool = False


@dataclass(slots=True)
class Outgoing:
    """A response as the guest makes it."""

    headers: Fields
    status: int = 200
    body: Body | None = None


def check_field(name: str, value: bytes) -> None:
    """Raise WitError (invalid-syntax) for what can't be sent as a header field."""
    if not is_field(name, value):
        raise WitError(Variant("invalid-syntax"))


def method_variant(method: str) -> Variant:
    """A method as the WIT has it."""
    return Variant(method.lower()) if method in METHODS else Variant("other", method)


@host_function(f"{TYPES}[constructor]fields")
def _new_fields(instance: Instance) -> ResourceHost:
    return instance.own("fields", Fields([]))


@host_function(f"{TYPES}[static]fields.from-list")
def _fields_from_list(instance: Instance, entries: list[tuple[str, bytes]]) -> ResourceHost:
    for name, value in entries:
        check_field(name, value)
    return instance.own("fields", Fields(list(entries)))


@host_function(f"{TYPES}[method]fields.entries")
def _entries(_: Instance, fields: Fields) -> list[tuple[str, bytes]]:
    return list(fields.entries)


@host_function(f"{TYPES}[method]fields.get")
def _get(_: Instance, fields: Fields, name: str) -> list[bytes]:
    return [value for key, value in fields.entries if key.lower() == name.lower()]


@host_function(f"{TYPES}[method]fields.has")
def _has(_: Instance, fields: Fields, name: str) -> bool:
    return any(key.lower() == name.lower() for key, _value in fields.entries)


@host_function(f"{TYPES}[method]fields.set")
def _set(_: Instance, fields: Fields, name: str, values: list[bytes]) -> None:
    fields.check_mutable()
    for value in values:
        check_field(name, value)
    fields.remove(name)
    fields.entries += [(name, value) for value in values]


@host_function(f"{TYPES}[method]fields.delete")
def _delete(_: Instance, fields: Fields, name: str) -> None:
    fields.check_mutable()
    fields.remove(name)


@host_function(f"{TYPES}[method]fields.append")
def _append(_: Instance, fields: Fields, name: str, value: bytes) -> None:
    fields.check_mutable()
    check_field(name, value)
    fields.entries.append((name, value))


@host_function(f"{TYPES}[method]fields.clone")
def _clone(instance: Instance, fields: Fields) -> ResourceHost:
    return instance.own("fields", Fields(list(fields.entries)))


@host_function(f"{TYPES}[method]incoming-request.method")
def _method(_: Instance, request: Incoming) -> Variant:
    return method_variant(request.method)


@host_function(f"{TYPES}[method]incoming-request.path-with-query")
def _path(_: Instance, request: Incoming) -> str:
    return request.path


@host_function(f"{TYPES}[method]incoming-request.scheme")
def _scheme(_: Instance, __: Incoming) -> Variant:
    return Variant("HTTP")


@host_function(f"{TYPES}[method]incoming-request.authority")
def _authority(_: Instance, request: Incoming) -> str:
    return request.authority


@host_function(
    f"{TYPES}[method]incoming-request.headers",
    f"{TYPES}[method]incoming-response.headers",
    f"{TYPES}[method]outgoing-request.headers",
    f"{TYPES}[method]outgoing-response.headers",
)
def _headers(instance: Instance, message: Any) -> ResourceHost:
    return instance.own("fields", Fields(list(message.headers.entries), mutable=False))


@host_function(f"{TYPES}[method]incoming-request.consume", f"{TYPES}[method]incoming-response.consume")
def _consume(instance: Instance, message: Any) -> ResourceHost:
    if message.consumed:
        raise WitError
    message.consumed = True
    return instance.own("incoming-body", message.body)


@host_function(f"{TYPES}[method]incoming-body.stream")
def _stream(instance: Instance, body: bytes) -> ResourceHost:
    return instance.own("input-stream", InputStream(body))


@host_function(f"{TYPES}[static]incoming-body.finish")
def _finish_incoming(instance: Instance, _: bytes) -> ResourceHost:
    return instance.own("future-trailers", None)


@host_function(f"{TYPES}[method]future-trailers.subscribe")
def _subscribe_trailers(instance: Instance, _: None) -> ResourceHost:
    return instance.own("pollable", Ready())


@host_function(f"{TYPES}[method]future-trailers.get")
def _get_trailers(_: Instance, __: None) -> Variant:
    return Variant("ok", None)


@host_function(f"{TYPES}[constructor]outgoing-response")
def _new_response(instance: Instance, headers: Fields) -> ResourceHost:
    return instance.own("outgoing-response", Outgoing(headers))


@host_function(f"{TYPES}[method]outgoing-response.status-code")
def _status(_: Instance, response: Outgoing) -> int:
    return response.status


@host_function(f"{TYPES}[method]outgoing-response.set-status-code")
def _set_status(_: Instance, response: Outgoing, status: int) -> None:
    if not 100 <= status <= 999:
        raise WitError
    response.status = status


@host_function(f"{TYPES}[method]outgoing-response.body")
def _response_body(instance: Instance, response: Outgoing) -> ResourceHost:
    if response.body is not None:
        raise WitError
    response.body = Body()
    return instance.own("outgoing-body", response.body)


@host_function(f"{TYPES}[method]outgoing-body.write")
def _write(instance: Instance, body: Body) -> ResourceHost:
    return instance.own("output-stream", OutputStream(body.append))


@host_function(f"{TYPES}[static]outgoing-body.finish")
def _finish_outgoing(_: Instance, body: Body, __: Any) -> None:
    body.finish()


@host_function(f"{TYPES}[static]response-outparam.set")
def _set_response(instance: Instance, _: None, response: Any) -> None:
    instance.response = response
