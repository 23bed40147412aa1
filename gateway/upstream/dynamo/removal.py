"""The removal of a workspace's rows in batches, readable or not; the order of the steps is the services'."""

import asyncio
from collections.abc import Iterable

from gateway.records.functions import FunctionRecord
from gateway.upstream.dynamo.expressions import all_of, begins_with, equals
from gateway.upstream.dynamo.function_rows import NEEDED_TO_DELETE, attributes_of, to_function
from gateway.upstream.dynamo.keys import Key, function_figures_key, function_key, image_deploy_key
from gateway.upstream.dynamo.table import Table

BATCH = 100
"""Functions removed together."""
CONCURRENCY = 10
"""Partitions emptied at once."""


class WorkspaceRemoval:
    """Removes what a workspace consists of."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def list_functions(self, workspace_id: str) -> list[FunctionRecord]:
        """Some of the functions that are there still, with what is needed to delete them, which any row has."""
        page = await self._table.query(
            all_of(equals("PK", f"WS#{workspace_id}"), begins_with("SK", "FN#")),
            limit=BATCH,
            attributes=attributes_of(NEEDED_TO_DELETE),
            consistent=True,
        )
        return [to_function(item, NEEDED_TO_DELETE) for item in page.items]

    async def delete_functions(self, workspace_id: str, function_ids: Iterable[str]) -> None:
        """Remove functions with their logs, lists and pointers; their own rows, which lead to the rest, last.

        A deploy of an image that is under way stays: whoever carries it undoes what the builder made, and ends it.
        """
        ids = list(function_ids)
        gate = asyncio.Semaphore(CONCURRENCY)

        async def empty(function_id: str) -> None:
            async with gate:
                image = image_deploy_key(function_id)
                await self._table.delete_range(image.pk, keep=(image.sk,))

        await asyncio.gather(*(empty(function_id) for function_id in ids))
        keys: list[Key] = [function_figures_key(workspace_id, function_id) for function_id in ids]
        keys += [function_key(workspace_id, function_id) for function_id in ids]
        await self._table.delete_many(keys)

    async def delete_rest(self, workspace_id: str) -> None:
        """Remove whatever is left beside METADATA, rows of the oldest form and of unknown ones included."""
        await self._table.delete_range(f"ws#{workspace_id}")
        await self._table.delete_range(f"WS#{workspace_id}", keep=("METADATA",))
