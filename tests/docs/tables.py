"""The tables of docs/reference.md and the README, made from the code: settings, error codes, limits."""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from gateway import errors
from gateway.settings import Settings
from gateway.web import invoke
from schema.transport.negotiation import Accepted
from schema.transport.results import result_response
from tests.docs.limits import LIMITS, Limit, reason_of

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference.md"
README = ROOT / "README.md"
USUAL = (
    "AWS_REGION",
    "DYNAMODB_TABLE_NAME",
    "S3_BUCKET_NAME",
    "BUILDER_SERVICE_URL",
    "LOKI_SERVICE_URL",
    "PROMETHEUS_SERVICE_URL",
    "REGISTRY_URL",
    "FUNCTION_NAMESPACES",
    "PUBLIC_URL",
    "CORS_ORIGINS",
)
"""The settings that nearly every deployment has."""
SAID_BETTER = {
    "INTERNAL_SERVER_ERROR": "What nobody expected; the log has it under `details.errorId`.",
    "TIMEOUT": "The operation took longer than it may, or the gateway stopped in the middle of it; the request "
    "came too slowly; an upload waited too long for its turn; a function called over HTTP did not answer in time.",
}
"""Where the code is that of more than its class says."""
REFUSED = {
    "BAD_REQUEST": "The request can't be served as it is: method, media type, operation name, too many at once.",
    "GRAPHQL_PARSE_FAILED": "The document is not GraphQL.",
    "GRAPHQL_VALIDATION_FAILED": "The document does not fit the schema.",
    "QUERY_TOO_COMPLEX": "The operation exceeds one of the limits below.",
}
"""The codes of schema/errors.py that no exception of the gateway's has."""
OF_CALLS = {
    "INVOCATION_ERROR": "The function could not be reached; only where functions are called over HTTP.",
    "EXECUTION_ERROR": "Something else went wrong; only the former backend's call.",
    "METHOD_NOT_ALLOWED": "It was not POST; only the former backend's call.",
}
FAILS_WHOLE = {*REFUSED, "VALIDATION_ERROR", "PAYLOAD_TOO_LARGE", "TIMEOUT", "INTERNAL_SERVER_ERROR"}
"""What an operation as a whole may fail with; all others are errors of a field, beside data."""
STATUSES = {
    "BAD_REQUEST": "400, 403, 405, 406, 415",
    "NOT_FOUND": "200; 404 where nothing is at the path",
    "PAYLOAD_TOO_LARGE": "413",
    "TIMEOUT": "408, 503, 504",
}
"""Of what is refused before there is an operation, or when the gateway stops in the middle of one."""


def settings_table(names: Iterable[str] = tuple(map(str.upper, Settings.model_fields))) -> str:
    """Settings with their defaults and what they are."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for name in names:
        field = Settings.model_fields[name.lower()]
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = "" if default in {None, ""} else f"`{default}`"
        rows.append(f"| `{name}` | {shown} | {field.description} |")
    return "\n".join(rows)


def usual_settings_table() -> str:
    """Those that nearly every deployment has."""
    return settings_table(USUAL)


def errors_table() -> str:
    """Every code with what it means, whether to try again, and its HTTP status."""
    rows = ["| code | when | `retryable` | HTTP |", "|---|---|---|---|"]
    for kind in kinds(errors.GatewayError):
        if "code" in vars(kind):  # the others have their parent's
            when = SAID_BETTER.get(kind.code) or " ".join((kind.__doc__ or "").split())
            rows.append(f"| `{kind.code}` | {when} | {retryable(kind)} | {status(kind.code)} |")
    rows += [f"| `{code}` | {when} | {again(code)} | {status(code)} |" for code, when in REFUSED.items()]
    rows += [f"| `{code}` | {when} | no | {call_statuses(code)} |" for code, when in OF_CALLS.items()]
    return "\n".join(rows)


def limits_table() -> str:
    """Every limit that callers or operators meet, with its reason."""
    rows = ["| what | limit | why |", "|---|---|---|"]
    rows += [f"| {limit.what} | {shown(limit)} | {reason_of(limit)} |" for limit in LIMITS]
    return "\n".join(rows)


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "errors": errors_table,
    "limits": limits_table,
}
TABLES_OF_README: dict[str, Callable[[], str]] = {"usual settings": usual_settings_table}


def filled(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """The page with its tables as the code has them; they stand between `<!-- name -->` and `<!-- end -->`."""
    for name, table in tables.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition("\n<!-- end -->")
        text = f"{before}{opening}{table()}{closing}{after}"
    return text


def kinds(root: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    """The error and what derives from it in gateway/errors.py, in the order of the tree."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def retryable(kind: type[errors.GatewayError]) -> str:
    """Whether trying again may help; some errors say so one by one."""
    varies = issubclass(kind, errors.UpstreamError | errors.ConflictError | errors.OperationTimeoutError)
    if kind.retryable and issubclass(kind, errors.UpstreamError):
        return "yes"
    return "as the error says" if varies else "no"


def again(code: str) -> str:
    """The same for the codes of the GraphQL layer."""
    return "where too many are open" if code == "BAD_REQUEST" else "no"


def status(code: str) -> str:
    """The status where no operation ran, for clients that take application/graphql-response+json."""
    if code in STATUSES:
        return STATUSES[code]
    if code not in FAILS_WHOLE:
        return "200"
    result = ExecutionResult(data=None, errors=[GraphQLError(code, extensions={"code": code})])
    return str(result_response(Accepted(("graphql",)), result).status_code)


def call_statuses(code: str) -> str:
    """The statuses of the routes that call functions."""
    return {
        invoke.INVOCATION_ERROR: "503, 508",
        "EXECUTION_ERROR": "500",
        "METHOD_NOT_ALLOWED": "405",
    }[code]


def shown(limit: Limit) -> str:
    """A limit's value with its unit."""
    module, name = limit.place.rsplit(".", 1)
    value = limit.value_of(getattr(importlib.import_module(module), name))
    if isinstance(value, range):
        return f"{value.start:,} to {value.stop - 1:,}{limit.unit}"
    if limit.unit == " bytes" and value % 1024 == 0:
        kib = value // 1024
        return f"{kib // 1024:,} MiB" if kib % 1024 == 0 else f"{kib:,} KiB"
    return f"{value:,g}{limit.unit}" if value < 1_000_000 else f"{value:,}{limit.unit}"
