"""Functions as rows have them, and back, without the source; reading and writing rows is functions.py's."""

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.keys import function_key, stamp

MAX_ROW_CODE_CHARACTERS = 16 * 1024
"""Base64 kept on the row for former readers: a Query page is 1 MB before projection, so that rows stay small."""


def to_function(item: Item, columns: Iterable[str] | None = None) -> FunctionRecord:
    """Read a function's row: all of it, or these columns."""
    values = {"id": rows.key_id(item, "SK"), "workspace_id": rows.key_id(item, "PK")}
    return FunctionRecord.of_columns(
        values | {name: COLUMNS[name].read(item) for name in (COLUMNS if columns is None else columns)}
    )


def attributes_of(columns: Iterable[str] | None = None) -> tuple[str, ...]:
    """What of a row is read for all columns, or for these: `code` is no column."""
    names = COLUMNS if columns is None else columns
    return ("PK", "SK", *(COLUMNS[name].attribute for name in names))


def _to_methods(item: Item, name: str) -> tuple[HttpMethod, ...]:
    """The methods among the names, in any case; GET where there is none, as the former backend took it."""
    names = rows.texts(item, name)
    known = [method for name in names if (method := HttpMethod.__members__.get(name.strip().upper()))]
    return tuple(dict.fromkeys(known)) or (HttpMethod.GET,)


def _to_url(item: Item, name: str) -> str | None:
    """With a scheme; the former backend stored the builder's endpoint, which has none."""
    text = rows.optional_text(item, name)
    return to_url(text) if text else None


def _to_environment(item: Item, name: str) -> dict[str, str]:
    """A map's names and values, these as text."""
    value = item.get(name)
    if not isinstance(value, dict):
        return {}
    return {name: str(entry) for name, entry in value.items() if entry is not None}


def _to_status(item: Item, name: str) -> FunctionStatus:
    """A status in any case; one that is not known says nothing against calling the function."""
    return FunctionStatus.__members__.get(rows.text(item, name).strip().upper(), FunctionStatus.ACTIVE)


class Column(NamedTuple):
    """A field of a function's record: the attribute that it is stored as, and how that is read."""

    attribute: str
    convert: Callable[[Item, str], Any]

    def read(self, item: Item) -> Any:
        """The field's value on a row."""
        return self.convert(item, self.attribute)


COLUMNS: Mapping[str, Column] = {
    "name": Column("name", rows.text),
    "description": Column("description", rows.text),
    "runtime": Column("runtime", partial(rows.text, default="Python 3.12")),
    "memory": Column("memory", partial(rows.integer, default=256)),
    "timeout": Column("timeout", partial(rows.integer, default=30)),
    "http_methods": Column("httpMethods", _to_methods),
    "environment_variables": Column("environmentVariables", _to_environment),
    "status": Column("status", _to_status),
    "invocation_url": Column("invocationUrl", _to_url),
    "created_at": Column("createdAt", rows.optional_time),
    "last_modified": Column("lastModified", rows.time),
    "last_deployed": Column("lastDeployed", rows.optional_time),
    "app_name": Column("app_name", rows.optional_text),
    "namespace": Column("namespace", rows.optional_text),
    "latest_build_id": Column("latest_build_id", rows.optional_text),
    "active_build_id": Column("active_build_id", rows.optional_text),
    "current_deployment_id": Column("current_deployment_id", rows.optional_text),
    "revision": Column("revision", rows.integer),
    "deployed_revision": Column("deployed_revision", rows.integer),
}
"""All that a record has besides its ids, which are in the key."""
NEEDED_TO_DELETE = frozenset({"name", "invocation_url", "app_name", "namespace", "active_build_id"})
"""Where its SpinApp and its build are. All are texts, so that whatever else a row holds it can be deleted."""


def to_url(endpoint: str) -> str:
    """An endpoint as `invocationUrl` has it: the builder names it without a scheme."""
    return endpoint if "://" in endpoint else f"http://{endpoint}"


def code_changes(code: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a new source sets and removes on the row: larger ones are in S3 alone."""
    text = base64.b64encode(code).decode()
    return ({"code": text}, ()) if len(text) <= MAX_ROW_CODE_CHARACTERS else ({}, ("code",))


def to_item(function: FunctionRecord, code: bytes) -> dict[str, Any]:
    """The whole row of a new function."""
    kept_code, _ = code_changes(code)
    return rows.without_none(
        {
            **function_key(function.workspace_id, function.id).as_item(),
            **kept_code,
            "id": function.id,
            "workspaceId": function.workspace_id,
            "name": function.name,
            "description": function.description,
            "runtime": function.runtime,
            "memory": function.memory,
            "timeout": function.timeout,
            "httpMethods": [method.value for method in function.http_methods],
            "environmentVariables": dict(function.environment_variables),
            "status": function.status.value,
            "createdAt": stamp(function.created_at) if function.created_at else None,
            "lastModified": stamp(function.last_modified),
            "revision": function.revision,
            # Read by the former backend only; the figures are in FNSTATS.
            "invocations24h": 0,
            "errors24h": 0,
            "avgDuration": 0,
        }
    )
