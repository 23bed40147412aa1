"""What an update of a function may change, and how each change is checked and stored."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypedDict

from gateway.errors import InvalidInputError
from gateway.records.functions import FunctionStatus, HttpMethod
from gateway.services import validation as valid
from gateway.upstream.dynamo.keys import stamp

SETTABLE_STATUSES = frozenset({FunctionStatus.ACTIVE, FunctionStatus.DISABLED})
"""The others say what the gateway is doing with the function."""
DEPLOYED_CHANGES = frozenset({"runtime", "memory", "timeout", "environment_variables"})
"""Besides the source: what takes effect with the next deploy."""


class FunctionChanges(TypedDict, total=False):
    """What an update may change; what is absent stays."""

    name: str
    description: str | None
    runtime: str
    memory: int
    timeout: int
    http_methods: list[HttpMethod]
    environment_variables: list[tuple[str, str]]
    code: bytes
    status: FunctionStatus
    invocation_url: str | None
    last_deployed: datetime


class UrlCheck(Protocol):
    """Refuses an invocation URL that could never be called."""

    def __call__(self, url: str, *, field: str | None = None) -> None:
        """Raise InvalidInputError, or do nothing."""


def _status(status: FunctionStatus) -> str:
    if status not in SETTABLE_STATUSES:
        raise InvalidInputError("status can be set to ACTIVE or DISABLED only.", field="status")
    return status.value


CHECKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "name": ("name", valid.check_name),
    "description": ("description", valid.check_description),
    "runtime": ("runtime", valid.check_runtime),
    "memory": ("memory", valid.check_memory),
    "timeout": ("timeout", valid.check_timeout),
    "http_methods": (
        "httpMethods",
        lambda methods: [method.value for method in valid.check_methods(methods)],
    ),
    "environment_variables": ("environmentVariables", valid.check_environment),
    "status": ("status", _status),
    "last_deployed": ("lastDeployed", stamp),
}
"""Each change's attribute on the row, and what makes its stored value."""


def checked_changes(changes: FunctionChanges, check_url: UrlCheck) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The row's attributes that the changes set, and those that they remove; the source is not among them."""
    attributes = {CHECKS[name][0]: CHECKS[name][1](value) for name, value in changes.items() if name in CHECKS}
    if "invocation_url" not in changes:
        return attributes, ()
    given = changes["invocation_url"]
    if given is None:
        return attributes, ("invocationUrl",)
    if not given.strip():
        raise InvalidInputError("invocationUrl must not be empty; null clears it.", field="invocationUrl")
    url = valid.normalize_url(given)
    check_url(url, field="invocationUrl")
    return attributes | {"invocationUrl": url}, ()
