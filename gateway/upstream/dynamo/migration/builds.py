"""Builds of before: each once in its workspace's list, found by its id, and ended where nobody carries it.

The former backend's and the Builder Service's rows stay where they are and keep what they say; `ws#` rows are
copied into the form of today, and stay too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from gateway.records.builds import BuildStatus, parse_build_status
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import build_list, build_position, spell_status, to_build
from gateway.upstream.dynamo.expressions import (
    Check,
    Put,
    Update,
    Write,
    all_of,
    begins_with,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.keys import (
    INDEX_PK,
    INDEX_SK,
    Key,
    build_key,
    build_pointer_key,
    function_build_key,
    function_key,
    stamp,
    workspace_key,
)
from gateway.upstream.dynamo.migration.amendments import Amendments, unchanged
from gateway.upstream.dynamo.migration.build_pairs import StoredBuild, pair_builds
from gateway.upstream.dynamo.migration.pace import patiently
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import live_workspace

LISTED = "builds put into their workspace's list"
POINTERS = "pointers from a build to its workspace"
COPIED = "builds copied from rows of the oldest form"
OF_FUNCTIONS = "builds put into their function's list"
ENDED = "unfinished builds ended"
PAIRED = "builds told which task of the Builder Service is theirs"
UNLISTED = "rows of the Builder Service taken out of lists that have the gateway's"

ABANDONED = "was never finished: nobody carried it on"

# Sources and steps are large, and nothing here needs them.
ATTRIBUTES = (
    *("PK", "SK", INDEX_PK, "task_id", "workspace_id", "app_name", "status", "created_at", "updated_at"),
    *("wasm_path", "image_url", "error_message", "source_code_path", "sequence", "kind", "function_id"),
    "builder_task_id",
)
OLD_ATTRIBUTES = (
    "PK",
    "SK",
    "Status",
    "AppName",
    "CreatedAt",
    "UpdatedAt",
    "WasmPath",
    "ImageUrl",
    "ErrorMessage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildAge:
    """When a build that is not finished has had its time."""

    now: datetime
    timeout: timedelta

    def is_over(self, created_at: datetime) -> bool:
        """Whether nobody can still be working on it."""
        return self.now - created_at >= self.timeout


async def list_builds(table: Table, amendments: Amendments, workspace_id: str, age: BuildAge) -> None:
    """Bring a workspace's builds into view."""
    stored = await _read(table, amendments, f"WS#{workspace_id}", "BUILD#")
    known = {one.build.id for one in stored}
    old = await _read(table, amendments, f"ws#{workspace_id}", "build#")
    stored += [one for one in old if one.build.id not in known]
    pairs = pair_builds(stored)
    paired = {task.build.id for task in pairs.values()}
    claimed = paired | {one.build.builder_task_id for one in stored}
    keys = [build_pointer_key(one.build.id) for one in stored]
    keys += [entry for one in stored if (entry := _entry_key(one))]
    read = partial(table.batch_get, keys, attributes=("PK",))
    found = frozenset(await patiently(read, amendments.report))
    for one in stored:
        if one.is_builders and one.build.id in claimed:
            await _unlist(amendments, one)
        elif not one.is_ours:
            await _list(amendments, one, pairs.get(one.build.id), age, found)


async def _read(table: Table, amendments: Amendments, partition: str, prefix: str) -> list[StoredBuild]:
    """All builds of a partition that can be understood."""
    condition = all_of(equals("PK", partition), begins_with("SK", prefix))
    attributes = ATTRIBUTES if prefix == "BUILD#" else tuple(dict.fromkeys((*ATTRIBUTES, *OLD_ATTRIBUTES)))

    async def read() -> list[Item]:
        found = table.query_all(condition, attributes=attributes, consistent=True)
        return [item async for item in found]

    stored: list[StoredBuild] = []
    items = await patiently(read, amendments.report)
    await amendments.pace_reads(len(items))
    for item in items:
        build = rows.read_row(item, to_build)
        if build is None:
            amendments.left["builds that can't be understood"] += 1
        else:
            stored.append(StoredBuild(item=item, build=build))
    return stored


async def _unlist(amendments: Amendments, task: StoredBuild) -> None:
    if INDEX_PK in task.item:
        key = Key(task.item["PK"], task.item["SK"])
        update = Update(key=key, remove=(INDEX_PK, INDEX_SK), condition=exists())
        await amendments.make([update], UNLISTED)


async def _list(
    amendments: Amendments, one: StoredBuild, task: StoredBuild | None, age: BuildAge, found: Iterable[Key]
) -> None:
    """List one build that is not the gateway's, and end it where it has had its time."""
    build = one.build
    if not build.status.is_final and not age.is_over(build.created_at):
        amendments.left["builds that may still be under way: run this again later"] += 1
        if one.is_builders:
            return  # its task may be that of a build which the gateway is about to store
    changes, what = _changes(one, task, age)
    pointer = build_pointer_key(build.id)
    writes: list[Write] = []
    if one.item["PK"].startswith("ws#"):
        writes.append(Check(key=workspace_key(build.workspace_id), condition=live_workspace()))
        writes.append(Put(item=_modern_item(one) | changes, condition=not_exists()))
        what = [COPIED, *what]
    elif changes:
        seen = all_of(exists(), *unchanged(one.item, ("status", "updated_at", INDEX_PK, "sequence")))
        writes.append(Update(key=build_key(build.workspace_id, build.id), set=changes, condition=seen))
    if pointer not in found:
        if not writes:
            writes.append(Check(key=build_key(build.workspace_id, build.id), condition=exists()))
        writes.append(Put(item=pointer.as_item() | {"workspace_id": build.workspace_id}, condition=not_exists()))
        what.append(POINTERS)
    if not await amendments.make(writes, *what):
        amendments.left["builds that changed meanwhile: run this again"] += 1
        return
    entry = _entry_key(one)
    if entry is not None and entry not in found:
        names = {"build_id": build.id, "workspace_id": build.workspace_id}
        there = Check(key=function_key(build.workspace_id, build.function_id or ""), condition=exists())
        await amendments.make([there, Put(item=entry.as_item() | names, condition=not_exists())], OF_FUNCTIONS)


def _entry_key(one: StoredBuild) -> Key | None:
    """Where a build stands in its function's list, if it has a function."""
    build = one.build
    if build.function_id is None:
        return None
    return function_build_key(build.function_id, build.created_at, build.id)


def _changes(one: StoredBuild, task: StoredBuild | None, age: BuildAge) -> tuple[dict[str, Any], list[str]]:
    """The attributes that a build's row lacks, and what they do."""
    build, what = one.build, []
    changes: dict[str, Any] = {}
    if INDEX_PK not in one.item:
        changes |= {INDEX_PK: build_list(build.workspace_id), INDEX_SK: build_position(build)}
        what.append(LISTED)
    if task is not None and build.builder_task_id is None:
        changes["builder_task_id"] = task.build.id
        what.append(PAIRED)
    if _is_abandoned(one, age):
        changes |= _end(one, task, age)
        what.append(ENDED)
    return changes, what


def _is_abandoned(one: StoredBuild, age: BuildAge) -> bool:
    """Not finished though it has had its time; of a status that nobody knows that can't be said."""
    word = rows.text(one.item, "status") or rows.text(one.item, "Status")
    known = not word or parse_build_status(word) is not None
    return known and not one.build.status.is_final and age.is_over(one.build.created_at)


def _end(one: StoredBuild, task: StoredBuild | None, age: BuildAge) -> Mapping[str, Any]:
    """How a build ended that nobody carried: as its task did, or failed when its time was over."""
    if task is not None and task.build.status.is_final:
        return {
            "status": spell_status(task.build.status),
            "wasm_path": task.build.wasm_path,
            "image_url": task.build.image_url,
            "error_message": task.build.error,
            "updated_at": stamp(task.build.updated_at),
        }
    # In the spelling of the row's writer, who reads it too.
    status = "FAILED" if one.is_builders else spell_status(BuildStatus.FAILED)
    ended_at = one.build.created_at + age.timeout
    at = ended_at.astimezone(UTC).replace(tzinfo=None).isoformat() if one.is_builders else stamp(ended_at)
    return {"status": status, "error_message": ABANDONED, "updated_at": at}


def _modern_item(one: StoredBuild) -> dict[str, Any]:
    """An old row in the form of the builder's rows of today, without the index attributes."""
    build = one.build
    item = {
        **build_key(build.workspace_id, build.id).as_item(),
        "Type": "BuildTask",
        "task_id": build.id,
        "workspace_id": build.workspace_id,
        "app_name": build.app_name,
        "status": rows.optional_text(one.item, "Status") or rows.text(one.item, "status", "PENDING"),
        "source_code_path": build.source_path,
        "wasm_path": build.wasm_path,
        "image_url": build.image_url,
        "error_message": build.error,
        "created_at": stamp(build.created_at),
        "updated_at": stamp(build.updated_at),
    }
    return rows.without_none(item)
