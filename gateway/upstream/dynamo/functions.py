"""Functions in the table: their rows without the source, and the pointers from ids to workspaces."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.errors import ConflictError, NotFoundError
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.records.pages import Page
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Delete,
    Put,
    Update,
    all_of,
    begins_with,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.keys import (
    function_figures_key,
    function_key,
    function_pointer_key,
    stamp,
    workspace_key,
)
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import live_workspace

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
    methods = [HttpMethod(str(method).upper()) for method in item.get("httpMethods") or ["GET"]]
    return FunctionRecord(
        id=rows.text(item, "id") or item["SK"].partition("#")[2],
        workspace_id=rows.text(item, "workspaceId") or item["PK"].partition("#")[2],
        name=rows.text(item, "name"),
        description=rows.text(item, "description"),
        runtime=rows.text(item, "runtime", "Python 3.12"),
        memory=rows.integer(item, "memory", 256),
        timeout=rows.integer(item, "timeout", 30),
        http_methods=tuple(methods),
        environment_variables={
            str(name): str(value) for name, value in (item.get("environmentVariables") or {}).items()
        },
        status=FunctionStatus(rows.text(item, "status", "active").lower()),
        invocation_url=rows.optional_text(item, "invocationUrl"),
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


def code_changes(code: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a new source sets and removes on the row: larger ones are in S3 alone."""
    text = base64.b64encode(code).decode()
    return ({"code": text}, ()) if len(text) <= MAX_ROW_CODE_CHARACTERS else ({}, ("code",))


class FunctionTable:
    """Reads and writes functions."""

    def __init__(self, table: Table, pointers: Pointers) -> None:
        self._table = table
        self._pointers = pointers

    async def workspaces_of(self, function_ids: Iterable[str]) -> dict[str, str]:
        """The workspace of each function that exists, by id."""
        return await self._pointers.workspaces_of(function_ids, function_pointer_key)

    async def get(self, function_id: str) -> FunctionRecord | None:
        """A function as it is stored now."""
        workspace_id = (await self.workspaces_of([function_id])).get(function_id)
        if workspace_id is None:
            return None
        key = function_key(workspace_id, function_id)
        item = await self._table.get(key, attributes=("PK", "SK", *ATTRIBUTES))
        return None if item is None else rows.read_row(item, to_function)

    async def list_page(
        self,
        workspace_id: str,
        *,
        first: int,
        after: str | None,
        accept: Callable[[FunctionRecord], bool] | None = None,
    ) -> Page[FunctionRecord]:
        """A page of those of a workspace's functions that are accepted, by id."""

        def convert(item: Item) -> FunctionRecord | None:
            function = to_function(item)
            return function if accept is None or accept(function) else None

        return await read_page(
            self._table,
            RowRange(partition=f"WS#{workspace_id}", low="FN#", high="FN#~"),
            first=first,
            after=after,
            convert=convert,
            filters=accept is not None,
            attributes=ATTRIBUTES,
        )

    async def list_names(self, workspace_id: str) -> list[str]:
        """The names of all functions of a workspace."""
        condition = all_of(equals("PK", f"WS#{workspace_id}"), begins_with("SK", "FN#"))
        found = self._table.query_all(condition, attributes=("name",), consistent=True)
        return [rows.text(item, "name") async for item in found]

    async def create(self, function: FunctionRecord, code: bytes) -> None:
        """Write a function, its pointer and figures, and count it; NotFoundError where its workspace is gone."""
        kept_code, _ = code_changes(code)
        item = rows.without_none(
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
        pointer = {**function_pointer_key(function.id).as_item(), "workspace_id": function.workspace_id}
        figures = function_figures_key(function.workspace_id, function.id).as_item()
        try:
            await self._table.transact(
                [
                    Put(item=item, condition=not_exists()),
                    Put(item=pointer, condition=not_exists()),
                    Put(item=figures, condition=not_exists()),
                    Update(
                        key=workspace_key(function.workspace_id),
                        add={"functionCount": 1},
                        condition=live_workspace(),
                    ),
                ]
            )
        except ConditionFailedError as error:
            if 3 in error.failed:  # the workspace's place in the list above
                message = f"There is no workspace {function.workspace_id}."
                raise NotFoundError(message, field="workspaceId") from error
            raise ConflictError(f"A function {function.id} exists already.", retryable=True) from error
        self._pointers.remember(function.id, function.workspace_id)

    async def update(
        self,
        workspace_id: str,
        function_id: str,
        *,
        changes: dict[str, Any],
        removed: Sequence[str] = (),
        new_revision: bool = False,
        deployed: bool = False,
    ) -> None:
        """Change what is given and nothing else; NotFoundError where the function is gone.

        `new_revision` makes it have undeployed changes, `deployed` says that what is stored was deployed.
        """
        try:
            await self._table.write(
                Update(
                    key=function_key(workspace_id, function_id),
                    set=changes,
                    remove=removed,
                    copy_number={"deployed_revision": "revision"} if deployed else {},
                    add={"revision": 1} if new_revision else {},
                    condition=exists(),
                )
            )
        except ConditionFailedError as error:
            raise NotFoundError(f"There is no function {function_id}.", field="id") from error

    async def delete(self, workspace_id: str, function_id: str) -> None:
        """Remove a function, its pointer and figures, and count it off; NotFoundError where it is gone."""
        try:
            await self._table.transact(
                [
                    Delete(key=function_key(workspace_id, function_id), condition=exists()),
                    Delete(key=function_pointer_key(function_id)),
                    Delete(key=function_figures_key(workspace_id, function_id)),
                    Update(key=workspace_key(workspace_id), add={"functionCount": -1}, condition=exists()),
                ]
            )
        except ConditionFailedError as error:
            raise NotFoundError(f"There is no function {function_id}.", field="id") from error
        self._pointers.forget(function_id)
