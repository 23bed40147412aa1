"""Which columns of a function's row an operation needs, by the fields that it selects: no others are read.

They are those of the whole document: so that whoever reads a function first reads it for all, and rows that are
asked for at once stay one batch.
"""

from collections.abc import Mapping
from functools import lru_cache

from schema.context import Context

OF_DEPLOYMENTS = ("active_build_id", "current_deployment_id", "namespace")
"""What says which deployment is the current one, and which could be rolled back to."""
NONE: tuple[str, ...] = ()

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "description": ("description",),
    "runtime": ("runtime",),
    "memory": ("memory",),
    "timeout": ("timeout",),
    "httpMethods": ("http_methods",),
    "environmentVariables": ("environment_variables",),
    "status": ("status",),
    "notInvocableReason": ("status", "invocation_url"),
    "hasUndeployedChanges": ("last_deployed", "revision", "deployed_revision"),
    "invocationUrl": ("invocation_url",),
    "createdAt": ("created_at",),
    "lastModified": ("last_modified",),
    "lastDeployed": ("last_deployed",),
    "latestBuild": ("latest_build_id",),
    "deployments": OF_DEPLOYMENTS,
    "id": NONE,
    "workspace": NONE,
    "code": NONE,
    "endpoint": NONE,
    "invocations24h": NONE,
    "errors24h": NONE,
    "errorRate": NONE,
    "avgDuration": NONE,
    "invocationHistory": NONE,
    "executionLogs": NONE,
    "logs": NONE,
    "metrics": NONE,
    "builds": NONE,
    "__typename": NONE,
}
"""What the fields of a function are made of, besides its ids, by which the rest is found."""


def function_columns(context: Context) -> frozenset[str] | None:
    """The columns that functions are read with in this operation; None where that is all of them."""
    if context.fields is None:
        return None
    selected = frozenset(context.fields.get("Function", ()))
    deployments = "deployment" in context.fields.get("Build", ()) or "deploySpinApp" in context.fields.get(
        "Mutation", ()
    )
    return _columns_of(selected | {"deployments"} if deployments else selected)


@lru_cache(maxsize=256)
def _columns_of(fields: frozenset[str]) -> frozenset[str]:
    return frozenset(column for field in fields for column in COLUMNS[field])
