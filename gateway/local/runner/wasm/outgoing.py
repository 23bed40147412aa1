"""wasi:http 0.2.0, the client's half: what a guest sends to others, to the hosts its component may call."""

from typing import Any

from wasmtime.component import ResourceHost, Variant

from gateway.local.runner.wasm.exchange import (
    PORTS,
    Exchange,
    IncomingResponse,
    OutgoingRequest,
    RequestOptions,
    is_allowed,
)
from gateway.local.runner.wasm.http import TYPES, Fields
from gateway.local.runner.wasm.instance import Instance, WitError, host_function
from gateway.local.runner.wasm.io import Body

_ATTRIBUTES = {
    "outgoing-request": {
        "method": "method",
        "scheme": "scheme",
        "authority": "authority",
        "path-with-query": "path",
    },
    "request-options": {
        "connect-timeout": "connect_timeout",
        "first-byte-timeout": "first_byte_timeout",
        "between-bytes-timeout": "between_bytes_timeout",
    },
}


@host_function("wasi:http/outgoing-handler handle")
def _handle(instance: Instance, request: OutgoingRequest, options: RequestOptions | None) -> ResourceHost:
    scheme, authority = request.scheme_name(), request.authority or ""
    if scheme not in PORTS or not is_allowed(scheme, authority, instance.grants.allowed_outbound_hosts):
        raise WitError(Variant("HTTP-request-denied"))
    exchange = Exchange(request, (options or RequestOptions()).timeout_s(), instance.alarm)
    if request.body is None or not request.body.open:
        exchange.body_finished(True)
    else:
        request.body.finished = exchange.body_finished
    return instance.own("future-incoming-response", exchange)


@host_function(f"{TYPES}[constructor]outgoing-request")
def _new_request(instance: Instance, headers: Fields) -> ResourceHost:
    return instance.own("outgoing-request", OutgoingRequest(headers))


@host_function(f"{TYPES}[method]outgoing-request.body")
def _body(instance: Instance, request: OutgoingRequest) -> ResourceHost:
    if request.body is not None:
        raise WitError
    request.body = Body()
    return instance.own("outgoing-body", request.body)


def _register_accessors() -> None:
    """The getters and setters of requests and of their options, which only read and store."""
    for resource, attributes in _ATTRIBUTES.items():
        for name, attribute in attributes.items():

            def load(_: Instance, target: Any, attribute: str = attribute) -> Any:
                return getattr(target, attribute)

            def store(_: Instance, target: Any, value: Any, attribute: str = attribute) -> None:
                setattr(target, attribute, value)

            host_function(f"{TYPES}[method]{resource}.{name}")(load)
            host_function(f"{TYPES}[method]{resource}.set-{name}")(store)


_register_accessors()


@host_function(f"{TYPES}[constructor]request-options")
def _new_options(instance: Instance) -> ResourceHost:
    return instance.own("request-options", RequestOptions())


@host_function(f"{TYPES}[method]future-incoming-response.subscribe")
def _subscribe(instance: Instance, exchange: Exchange) -> ResourceHost:
    return instance.own("pollable", exchange)


@host_function(f"{TYPES}[method]future-incoming-response.get")
def _get(instance: Instance, exchange: Exchange) -> Variant:
    if exchange.outcome is None:
        return Variant("none")
    if exchange.taken:
        return Variant("some", None)
    exchange.taken = True
    outcome = exchange.outcome
    if isinstance(outcome, Variant):
        return Variant("some", outcome)
    return Variant("some", instance.own("incoming-response", outcome))


@host_function(f"{TYPES}[method]incoming-response.status")
def _status(_: Instance, response: IncomingResponse) -> int:
    return response.status


@host_function(f"{TYPES}http-error-code")
def _error_code(_: Instance, __: object) -> None:
    return None
