"""The attributes of the type Function as they are made of a record: those alone that the operation selects."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.records.functions import FunctionRecord
from gateway.services.invocations import not_invocable_reason
from schema.context import Context
from schema.functions.values import EnvironmentVariable


def _environment(record: FunctionRecord) -> list[EnvironmentVariable]:
    return [
        EnvironmentVariable(name=name, value=value) for name, value in sorted(record.environment_variables.items())
    ]


def _has_undeployed_changes(record: FunctionRecord) -> bool:
    return record.last_deployed is not None and record.revision > record.deployed_revision


class Attribute(NamedTuple):
    """An attribute of the type, and what it is made of."""

    name: str
    read: Callable[[FunctionRecord], Any]


ATTRIBUTES: Mapping[str, Attribute] = {
    "name": Attribute("name", attrgetter("name")),
    "description": Attribute("description", attrgetter("description")),
    "runtime": Attribute("runtime", attrgetter("runtime")),
    "memory": Attribute("memory", attrgetter("memory")),
    "timeout": Attribute("timeout", attrgetter("timeout")),
    "httpMethods": Attribute("http_methods", lambda record: list(record.http_methods)),
    "environmentVariables": Attribute("environment_variables", _environment),
    "status": Attribute("status", attrgetter("status")),
    "notInvocableReason": Attribute("not_invocable_reason", not_invocable_reason),
    "hasUndeployedChanges": Attribute("has_undeployed_changes", _has_undeployed_changes),
    "invocationUrl": Attribute("invocation_url", attrgetter("invocation_url")),
    "createdAt": Attribute("created_at", attrgetter("created_at")),
    "lastModified": Attribute("last_modified", attrgetter("last_modified")),
    "lastDeployed": Attribute("last_deployed", attrgetter("last_deployed")),
}
"""By the name of the field; what each needs to be read with is schema/columns.py's."""


def attributes_of(record: FunctionRecord, context: Context) -> dict[str, Any]:
    """Values by the attributes' names; what is not selected was perhaps not read, and is not there."""
    selected = None if context.fields is None else frozenset(context.fields.get("Function", ()))
    return {attribute.name: attribute.read(record) for attribute in _selected(selected)}


@lru_cache(maxsize=256)
def _selected(fields: frozenset[str] | None) -> tuple[Attribute, ...]:
    return tuple(attribute for field, attribute in ATTRIBUTES.items() if fields is None or field in fields)
