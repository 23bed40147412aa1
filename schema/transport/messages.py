"""The messages of graphql-transport-ws: whether one that came is well-formed, and those that go out, in JSON.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

from schema.transport.encoding import encode_json

ACK = b'{"type":"connection_ack"}'
PONG = b'{"type":"pong"}'
_KINDS = frozenset({"connection_init", "ping", "pong", "subscribe", "complete"})


def next_head(id_: str) -> bytes:
    """A result's message, up to the result; a brace ends it."""
    return b'{"id":%b,"type":"next","payload":' % encode_json(id_)


def error_message(id_: str, errors: Sequence[GraphQLError]) -> bytes:
    """What ends an operation that failed as a whole."""
    return encode_json({"id": id_, "type": "error", "payload": [error.formatted for error in errors]})


def complete_message(id_: str) -> bytes:
    """What ends an operation that went well."""
    return encode_json({"id": id_, "type": "complete"})


def problem_of(message: Any) -> str | None:
    """Say what is wrong with the shape of a message that came."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is an object with a type"
    kind = message["type"]
    if kind not in _KINDS:
        return f"Unknown message type: {kind}"
    if kind == "connection_init" and not isinstance(message.get("payload"), dict | None):
        return "Invalid connection init payload"
    if kind in ("subscribe", "complete") and not (isinstance(message.get("id"), str) and message["id"]):
        return f"A {kind} message has an id"
    if kind == "subscribe":
        payload = message.get("payload")
        if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
            return "A subscribe message has a payload with a query"
        for name, expected in (("operationName", str), ("variables", dict), ("extensions", dict)):
            if not isinstance(payload.get(name), expected | None):
                return f"The payload's {name} has the wrong type"
    return None
