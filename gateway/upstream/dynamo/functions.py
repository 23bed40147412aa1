"""Functions in the table: their rows, and the pointers from ids to workspaces. Rows as such: function_rows.py."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gateway.errors import ConflictError, NotFoundError
from gateway.records.functions import FunctionRecord
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
from gateway.upstream.dynamo.function_rows import attributes_of, to_function, to_item
from gateway.upstream.dynamo.keys import (
    function_figures_key,
    function_key,
    function_pointer_key,
    workspace_key,
)
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import FUNCTION_WRITES, live_workspace


class FunctionTable:
    """Reads and writes functions."""

    def __init__(self, table: Table, pointers: Pointers) -> None:
        self._table = table
        self._pointers = pointers

    def is_known(self, function_id: str) -> bool:
        """Whether the function was seen by this process; it may have been deleted since, by another."""
        return self._pointers.is_known(function_id)

    async def workspaces_of(self, function_ids: Iterable[str]) -> dict[str, str]:
        """The workspace of each function that exists, by id."""
        return await self._pointers.workspaces_of(function_ids, function_pointer_key)

    async def get(self, function_id: str, *, columns: frozenset[str] | None = None) -> FunctionRecord | None:
        """A function as it is stored now, with these columns or all."""
        workspace_id = (await self.workspaces_of([function_id])).get(function_id)
        if workspace_id is None:
            return None
        key = function_key(workspace_id, function_id)
        item = await self._table.get(key, attributes=attributes_of(columns))
        return None if item is None else rows.read_row(item, lambda item: to_function(item, columns))

    async def list_page(
        self,
        workspace_id: str,
        *,
        first: int,
        after: str | None,
        columns: frozenset[str] | None = None,
        accept: Callable[[FunctionRecord], bool] | None = None,
    ) -> Page[FunctionRecord]:
        """A page of those of a workspace's functions that are accepted, by id, with these columns or all."""

        def convert(item: Item) -> FunctionRecord | None:
            function = to_function(item, columns)
            return function if accept is None or accept(function) else None

        return await read_page(
            self._table,
            RowRange(partition=f"WS#{workspace_id}", low="FN#", high="FN#~"),
            first=first,
            after=after,
            convert=convert,
            filters=accept is not None,
            attributes=attributes_of(columns),
        )

    async def get_row_code(self, workspace_id: str, function_id: str) -> bytes | None:
        """The source on a function's row, where the former backend may have left it; None where there is none."""
        item = await self._table.get(function_key(workspace_id, function_id), attributes=("code",))
        text = None if item is None else rows.optional_text(item, "code")
        if text is None:
            return None
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            return text.encode()

    async def list_names(self, workspace_id: str) -> list[str]:
        """The names of all functions of a workspace."""
        condition = all_of(equals("PK", f"WS#{workspace_id}"), begins_with("SK", "FN#"))
        found = self._table.query_all(condition, attributes=("name",), consistent=True)
        return [rows.text(item, "name") async for item in found]

    async def create(self, function: FunctionRecord, code: bytes) -> None:
        """Write a function, its pointer and figures, and count it; NotFoundError where its workspace is gone."""
        pointer = {**function_pointer_key(function.id).as_item(), "workspace_id": function.workspace_id}
        figures = function_figures_key(function.workspace_id, function.id).as_item()
        try:
            await self._table.transact(
                [
                    Put(item=to_item(function, code), condition=not_exists()),
                    Put(item=pointer, condition=not_exists()),
                    Put(item=figures, condition=not_exists()),
                    Update(
                        key=workspace_key(function.workspace_id),
                        add={"functionCount": 1, FUNCTION_WRITES: 1},
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

        `new_revision` makes it have undeployed changes, `deployed` says that what is stored was deployed. While a
        deploy is under way the status is its own: ConflictError (details: buildId).
        """
        key = function_key(workspace_id, function_id)
        try:
            await self._table.write(
                Update(
                    key=key,
                    set=changes,
                    remove=removed,
                    copy_number={"deployed_revision": "revision"} if deployed else {},
                    add={"revision": 1} if new_revision else {},
                    condition=all_of(exists(), not_exists("active_build_id")) if "status" in changes else exists(),
                )
            )
        except ConditionFailedError as error:
            item = await self._table.get(key, attributes=("PK", "active_build_id"))
            if item is None:
                raise NotFoundError(f"There is no function {function_id}.", field="id") from error
            build_id = item.get("active_build_id")
            message = f"The status of {function_id} can't be set while it is being deployed: build {build_id}."
            raise ConflictError(message, field="status", details={"buildId": build_id}, retryable=True) from error

    async def delete(self, workspace_id: str, function_id: str) -> None:
        """Remove a function, its pointer and figures, and count it off; NotFoundError where it is gone."""
        rows_of_function = [
            Delete(key=function_key(workspace_id, function_id), condition=exists()),
            Delete(key=function_pointer_key(function_id)),
            Delete(key=function_figures_key(workspace_id, function_id)),
        ]
        count_off = Update(
            key=workspace_key(workspace_id),
            add={"functionCount": -1, FUNCTION_WRITES: 1},
            condition=exists(),
        )
        try:
            await self._table.transact([*rows_of_function, count_off])
        except ConditionFailedError as error:
            if 0 in error.failed:  # the function's own row
                raise NotFoundError(f"There is no function {function_id}.", field="id") from error
            await self._table.transact(rows_of_function)  # its workspace is gone
        self._pointers.forget(function_id)
