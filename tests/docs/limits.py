"""Which constants of the code are limits that callers or operators meet; their values and reasons stay there."""

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Limit:
    """A constant, and what it bounds."""

    what: str
    place: str
    unit: str = ""
    value_of: Callable[[Any], Any] = lambda value: value


def days(value: timedelta | int) -> int:
    """Of a time, or of seconds."""
    return value.days if isinstance(value, timedelta) else value // 86_400


LIMITS = (
    Limit("Characters of a GraphQL document", "schema.limits.MAX_DOCUMENT_CHARACTERS"),
    Limit("Tokens of a document", "schema.limits.MAX_TOKENS"),
    Limit("Depth of an operation", "schema.limits.MAX_DEPTH"),
    Limit("Aliases", "schema.limits.MAX_ALIASES"),
    Limit("Fields", "schema.limits.MAX_FIELDS"),
    Limit("Nested fields and fragments", "schema.limits.MAX_NESTING"),
    Limit("Cost: fields times the sizes of their pages", "schema.limits.MAX_COST"),
    Limit("Time of a query", "schema.engine.QUERY_TIMEOUT_S", " s"),
    Limit("Nesting of a request's JSON", "schema.transport.encoding.MAX_JSON_DEPTH"),
    Limit("Digits of an integer", "schema.transport.encoding.MAX_DIGITS"),
    Limit("`first` of a list", "schema.pagination.MAX_FIRST"),
    Limit("`first` of logs", "schema.pagination.MAX_FIRST_LOGS"),
    Limit("Ids of `nodes(ids:)`", "gateway.services.validation.MAX_NODE_IDS"),
    Limit("Subscriptions of a replica", "schema.open_subscriptions.MAX_SUBSCRIPTIONS"),
    Limit("Operations of a socket", "schema.transport.websockets.MAX_OPERATIONS"),
    Limit("Time to `connection_init`", "schema.transport.websockets.INIT_TIMEOUT_S", " s"),
    Limit("Characters of a name", "gateway.services.validation.MAX_NAME_CHARACTERS"),
    Limit("Characters of a description", "gateway.services.validation.MAX_DESCRIPTION_CHARACTERS"),
    Limit("Environment of a function", "gateway.services.validation.MAX_ENVIRONMENT_BYTES", " bytes"),
    Limit("Memory of a function", "gateway.services.validation.MEMORY_MB", " MB"),
    Limit("Timeout of a function", "gateway.services.validation.TIMEOUT_S", " s"),
    Limit("Replicas of a deploy", "gateway.services.build_inputs.REPLICAS"),
    Limit("Uploads of a replica at a time", "schema.transport.uploads.MAX_UPLOADS"),
    Limit("Files of an upload request", "schema.transport.uploads.MAX_FILES"),
    Limit("A zip, unpacked", "gateway.services.uploads.MAX_UNPACKED_BYTES", " bytes"),
    Limit("A zip, unpacked to packed", "gateway.services.uploads.MAX_RATIO", " times"),
    Limit("`Build.error`", "gateway.builds.messages.MAX_ERROR_CHARACTERS", " characters"),
    Limit("Body sent to `/invoke/…`", "gateway.web.invoke.MAX_REQUEST_BYTES", " bytes"),
    Limit("Path and query of a call", "gateway.services.invocations.MAX_PATH_CHARACTERS", " characters"),
    Limit("Answer that `invokeFunction` reads", "gateway.services.invocations.MAX_RESPONSE_BYTES", " bytes"),
    Limit("Request body in an execution log", "gateway.services.bodies.MAX_REQUEST_LOG_BYTES", " bytes"),
    Limit("Response body in an execution log", "gateway.services.bodies.MAX_RESPONSE_LOG_BYTES", " bytes"),
    Limit("Time that a page of logs spans", "gateway.upstream.loki.client.MAX_SPAN", " days", days),
    Limit("Characters of a text to find in logs", "schema.logs.types.MAX_CONTAINS_CHARACTERS"),
    Limit("Window of a metric, at least", "schema.metrics.types.MIN_WINDOW_S", " s"),
    Limit("Window of a metric, at most", "schema.metrics.types.MAX_WINDOW_S", " days", days),
    Limit("Steps of a metric", "schema.metrics.types.MAX_STEPS"),
    Limit("Head of an HTTP request", "gateway.protocols.MAX_HEAD_BYTES", " bytes"),
    Limit("Time for the head of a request", "gateway.protocols.HEAD_TIMEOUT_S", " s"),
    Limit("Body of a request, at least in each 30 s", "gateway.protocols.MIN_BODY_BYTES", " B"),
    Limit("Time in which a peer reads nothing", "gateway.protocols.SEND_TIMEOUT_S", " s"),
    Limit("Time between two pings of a socket", "gateway.server.WS_PING_INTERVAL_S", " s"),
    Limit("Time for an upstream to connect", "gateway.upstream.http.CONNECT_TIMEOUT_S", " s"),
    Limit("Time between two parts of an upstream's answer", "gateway.upstream.http.READ_TIMEOUT_S", " s"),
    Limit("Answer of Loki or Prometheus", "gateway.upstream.query_client.MAX_ANSWER_BYTES", " bytes"),
    Limit("Calls of functions at a time", "gateway.upstream.functions.connections.MAX_CONNECTIONS"),
    Limit("Requests to an AWS service at a time", "gateway.upstream.aws.MAX_CONNECTIONS"),
    Limit("Time for a deploy's endpoint", "gateway.builds.pipeline.ENDPOINT_TIMEOUT_S", " s"),
    Limit("Difference of two replicas' clocks", "gateway.records.clock.CLOCK_SKEW_S", " s"),
)


def reason_of(limit: Limit) -> str:
    """What the code says below the constant; nothing where it goes without saying."""
    module, name = limit.place.rsplit(".", 1)
    source = Path(importlib.import_module(module).__file__ or "").read_text()
    statements = ast.parse(source).body
    for statement, following in pairwise(statements):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=found)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ) if found == name:
                return " ".join(text.split())
    return ""
