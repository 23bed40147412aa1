"""Functions as rows have them, and back, without the source; reading and writing rows is functions.py's."""

import base64
from typing import Any

from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.keys import function_key, stamp

MAX_ROW_CODE_CHARACTERS = 16 * 1024
"""Base64 kept on the row for former readers: a Query page is 1 MB before projection, so that rows stay small."""

ATTRIBUTES = (
    "id",
    "workspaceId",
    "name",
    "description",
    "runtime",
    "memory",
    "timeout",
    "httpMethods",
    "environmentVariables",
    "status",
    "invocationUrl",
    "createdAt",
    "lastModified",
    "lastDeployed",
    "app_name",
    "namespace",
    "latest_build_id",
    "active_build_id",
    "current_deployment_id",
    "revision",
    "deployed_revision",
)
"""All but `code`."""


def to_function(item: Item) -> FunctionRecord:
    """Read a function's row."""
    return FunctionRecord(
        id=rows.key_id(item, "SK"),
        workspace_id=rows.key_id(item, "PK"),
        name=rows.text(item, "name"),
        description=rows.text(item, "description"),
        runtime=rows.text(item, "runtime", "Python 3.12"),
        memory=rows.integer(item, "memory", 256),
        timeout=rows.integer(item, "timeout", 30),
        http_methods=_to_methods(rows.texts(item, "httpMethods")),
        environment_variables=_to_environment(item.get("environmentVariables")),
        status=_to_status(rows.text(item, "status")),
        invocation_url=_to_url(rows.optional_text(item, "invocationUrl")),
        created_at=rows.optional_time(item, "createdAt"),
        last_modified=rows.time(item, "lastModified"),
        last_deployed=rows.optional_time(item, "lastDeployed"),
        app_name=rows.optional_text(item, "app_name"),
        namespace=rows.optional_text(item, "namespace"),
        latest_build_id=rows.optional_text(item, "latest_build_id"),
        active_build_id=rows.optional_text(item, "active_build_id"),
        current_deployment_id=rows.optional_text(item, "current_deployment_id"),
        revision=rows.integer(item, "revision"),
        deployed_revision=rows.integer(item, "deployed_revision"),
    )


def _to_methods(names: list[str]) -> tuple[HttpMethod, ...]:
    """The methods among the names, in any case; GET where there is none, as the former backend took it."""
    known = [method for name in names if (method := HttpMethod.__members__.get(name.strip().upper()))]
    return tuple(dict.fromkeys(known)) or (HttpMethod.GET,)


def _to_url(text: str | None) -> str | None:
    """With a scheme; the former backend stored the builder's endpoint, which has none."""
    return to_url(text) if text else None


def _to_environment(value: Any) -> dict[str, str]:
    """A map's names and values, these as text."""
    if not isinstance(value, dict):
        return {}
    return {name: str(entry) for name, entry in value.items() if entry is not None}


def _to_status(word: str) -> FunctionStatus:
    """A status in any case; one that is not known says nothing against calling the function."""
    return FunctionStatus.__members__.get(word.strip().upper(), FunctionStatus.ACTIVE)


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
