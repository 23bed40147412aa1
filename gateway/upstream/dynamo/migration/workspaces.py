"""Workspaces of before: into the list of all, with figures, and with the number of their functions."""

import asyncio
import random
from typing import Any

from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.expressions import (
    Check,
    Put,
    Update,
    all_of,
    begins_with,
    equals,
    not_exists,
)
from gateway.upstream.dynamo.keys import (
    ALL_WORKSPACES,
    INDEX_PK,
    INDEX_SK,
    stamp,
    workspace_figures_key,
    workspace_key,
)
from gateway.upstream.dynamo.migration.amendments import Amendments, unchanged
from gateway.upstream.dynamo.migration.functions import ATTRIBUTES as FUNCTION_ATTRIBUTES
from gateway.upstream.dynamo.migration.pace import patiently
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import FUNCTION_WRITES, live_workspace, to_workspace

LISTED = "workspaces put into the list of all"
FIGURES = "rows for the figures of a workspace"
RECOUNTED = "function counts corrected"
COUNTS = 20
"""Attempts to count a workspace's functions while others create and delete them; one takes 30 ms of peace."""
MAX_PAUSE_S = 0.2
"""Between two of them."""


async def list_workspace(table: Table, amendments: Amendments, workspace_id: str) -> bool:
    """Put a workspace into the list and give it figures; False where it is gone, or going."""
    key, figures_key = workspace_key(workspace_id), workspace_figures_key(workspace_id)
    found = await patiently(lambda: table.batch_get([key, figures_key]), amendments.report)
    item = found.get(key)
    if item is None or item.get("deleting"):
        return False
    workspace = rows.read_row(item, to_workspace)
    if workspace is None:
        amendments.left["workspaces that can't be understood"] += 1
        return False
    if INDEX_PK not in item:
        place = {INDEX_PK: ALL_WORKSPACES, INDEX_SK: f"{stamp(workspace.created_at)}#{workspace.id}"}
        condition = all_of(live_workspace(), not_exists(INDEX_PK))
        await amendments.make([Update(key=key, set=place, condition=condition)], LISTED)
    if figures_key not in found:
        row = Put(item=figures_key.as_item(), condition=not_exists())
        await amendments.make([Check(key=key, condition=live_workspace()), row], FIGURES)
    return True


async def count_functions(table: Table, amendments: Amendments, workspace_id: str) -> list[Item]:
    """Correct a workspace's functionCount, and answer its functions' rows.

    Every create and delete counts FUNCTION_WRITES up in its transaction: where it and functionCount have not moved
    from before the first page until the write, what was counted is what is there.
    """
    key = workspace_key(workspace_id)
    names = ("functionCount", FUNCTION_WRITES)
    condition = all_of(equals("PK", key.pk), begins_with("SK", "FN#"))
    functions: list[Item] = []

    async def read_functions() -> list[Item]:
        found = table.query_all(condition, attributes=FUNCTION_ATTRIBUTES, consistent=True)
        return [item async for item in found]

    for _ in range(COUNTS):
        workspace = await patiently(lambda: table.get(key, attributes=("PK", *names)), amendments.report)
        functions = await patiently(read_functions, amendments.report)
        await amendments.pace_reads(len(functions))
        if workspace is None or _is_number(workspace.get("functionCount"), len(functions)):
            return functions
        correct = Update(
            key=key,
            set={"functionCount": len(functions)},
            condition=all_of(live_workspace(), *unchanged(workspace, names)),
        )
        if await amendments.make([correct], RECOUNTED):
            return functions
        await asyncio.sleep(random.uniform(0, MAX_PAUSE_S))  # noqa: S311  # jitter is no secret
    amendments.left["function counts that kept moving: run this again"] += 1
    return functions


def _is_number(value: Any, number: int) -> bool:
    """Whether it is this number, and stored as one: text can't be counted up."""
    return value == number and not isinstance(value, str | bool)
