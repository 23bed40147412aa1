"""Which task of the Builder Service is which build's: noted before a build is handed over, and once accepted.

`sent_by` on a build's row names the one attempt that may hand it over. `BUILD#{task} / METADATA` names the build
that a task belongs to, so that a list shows the builder's row of it nowhere. When a build is handed over is
gateway/builds/handover.py's.
"""

import contextlib
import re
from collections.abc import Iterable
from typing import Any

from gateway.records.builds import BuildChangedError, BuildRecord
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.build_rows import to_build
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Condition,
    Update,
    all_of,
    any_of,
    begins_with,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.keys import build_key, build_pointer_key
from gateway.upstream.dynamo.table import Table

TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""The Builder Service's are UUIDs."""


def is_task_id(id_: str) -> bool:
    """Whether an id is of the Builder Service's form; no build of ours has one like it."""
    return TASK_ID.fullmatch(id_) is not None


def accepted(build: BuildRecord, task_id: str, source_path: str | None, *, condition: Condition) -> Update:
    """The build's row names its task, and the source as the builder has stored it."""
    changes: dict[str, Any] = {"builder_task_id": task_id}
    if source_path is not None:
        changes["source_code_path"] = source_path
    return Update(key=build_key(build.workspace_id, build.id), set=changes, condition=condition)


def claim(build: BuildRecord, task_id: str) -> Update:
    """The task names its build."""
    return Update(key=build_pointer_key(task_id), set={"build_id": build.id})


class HandoverTable:
    """Reads and writes what was handed to the builder."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def mark_sent(self, build: BuildRecord, attempt: str) -> None:
        """Note that this attempt hands the build over; it may note so again.

        BuildChangedError where another has, or where the build has moved on: it was cancelled, or deleted.
        """
        condition = all_of(
            equals("sequence", build.sequence),
            not_exists("builder_task_id"),
            any_of(not_exists("sent_by"), equals("sent_by", attempt)),
        )
        key = build_key(build.workspace_id, build.id)
        try:
            await self._table.write(Update(key=key, set={"sent_by": attempt}, condition=condition))
        except ConditionFailedError as error:
            raise BuildChangedError from error

    async def unmark_sent(self, build: BuildRecord, attempt: str) -> None:
        """Note that the builder has surely not accepted what this attempt sent; BuildChangedError as above."""
        mine = all_of(
            equals("sequence", build.sequence), not_exists("builder_task_id"), equals("sent_by", attempt)
        )
        key = build_key(build.workspace_id, build.id)
        try:
            await self._table.write(Update(key=key, remove=("sent_by",), condition=mine))
        except ConditionFailedError as error:
            raise BuildChangedError from error

    async def note_late(self, build: BuildRecord, task_id: str, source_path: str | None) -> None:
        """Note the task of a build that has ended or changed hands meanwhile; it stays what it is."""
        there = all_of(exists(), not_exists("builder_task_id"))
        with contextlib.suppress(ConditionFailedError):
            await self._table.transact(
                [accepted(build, task_id, source_path, condition=there), claim(build, task_id)]
            )

    async def list_sent(self, workspace_id: str) -> list[BuildRecord]:
        """All builds of a workspace that were handed over, in whatever state; reads all of its builds."""
        mine = all_of(equals("PK", f"WS#{workspace_id}"), begins_with("SK", "BUILD#"))
        sent = any_of(exists("sent_by"), exists("builder_task_id"))
        stored = self._table.query_all(mine, filter_by=sent, consistent=True)
        return [build async for item in stored if (build := rows.read_row(item, to_build)) is not None]

    async def find_claimed(self, task_ids: Iterable[str]) -> frozenset[str]:
        """Those of the tasks that belong to a build of the gateway."""
        keys = {build_pointer_key(task_id): task_id for task_id in task_ids}
        if not keys:
            return frozenset()
        found = await self._table.batch_get(keys, attributes=("build_id",))
        return frozenset(keys[key] for key, item in found.items() if item.get("build_id"))
