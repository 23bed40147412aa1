"""Builds, and how they deploy, as rows have them and back; reading and writing rows is builds.py's.

Attribute names and spellings are the former backend's: its readers still read them. The Builder Service writes
rows of the same form beside ours (capitals, naive UTC), an older one in PascalCase; all of them are read.
"""

from dataclasses import asdict, fields
from typing import Any

from gateway.records.builder import BuilderTask
from gateway.records.builds import (
    BuildKind,
    BuildRecord,
    BuildStatus,
    BuildStepRecord,
    DeploySpec,
    parse_build_status,
)
from gateway.records.functions import FunctionStatus
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.keys import INDEX_PK, INDEX_SK, build_key, stamp

_PASCAL_CASE = {
    "status": "Status",
    "app_name": "AppName",
    "created_at": "CreatedAt",
    "updated_at": "UpdatedAt",
    "wasm_path": "WasmPath",
    "image_url": "ImageUrl",
    "error_message": "ErrorMessage",
    "source_code_path": "SourceCodePath",
    "task_id": "TaskId",
    "workspace_id": "WorkspaceId",
}


def build_list(workspace_id: str) -> str:
    """The index partition that lists a workspace's builds."""
    return f"WS#{workspace_id}#BUILDS"


def build_position(build: BuildRecord) -> str:
    """Where a build stands in every list of builds; the same on its row and on its pointer."""
    return f"{stamp(build.created_at)}#{build.id}"


def spell_status(status: BuildStatus) -> str:
    """A status as former readers expect it."""
    return "completed" if status is BuildStatus.DONE else status.value


def to_item(build: BuildRecord) -> dict[str, Any]:
    """The whole row of a build that ours is the first to know."""
    return rows.without_none(
        {
            **build_key(build.workspace_id, build.id).as_item(),
            INDEX_PK: build_list(build.workspace_id),
            INDEX_SK: build_position(build),
            "Type": "BuildTask",
            "task_id": build.id,
            "workspace_id": build.workspace_id,
            "app_name": build.app_name,
            "created_at": stamp(build.created_at),
            "kind": build.kind.value,
            "function_id": build.function_id,
            "expected_image": build.expected_image,
            "tag": build.tag,
            "has_credentials": build.has_credentials or None,
            "deploy": deploy_to_map(build.deploy),
        }
    ) | to_changes(build)


def to_changes(build: BuildRecord) -> dict[str, Any]:
    """What a change of a build writes; former readers expect NULL where there is no value."""
    changes = {
        "status": spell_status(build.status),
        "source_code_path": build.source_path,
        "wasm_path": build.wasm_path,
        "image_url": build.image_url,
        "error_message": build.error,
        "updated_at": stamp(build.updated_at),
        "sequence": build.sequence,
        "steps": [_step_to_map(step) for step in build.steps],
    }
    optional = {
        "builder_task_id": build.builder_task_id,
        "deployment_id": build.deployment_id,
        "finished_at": stamp(build.finished_at) if build.finished_at else None,
    }
    return changes | rows.without_none(optional)


def to_build(item: Item) -> BuildRecord:
    """Read a build's row, whoever wrote it; one without steps has the one of its status."""
    item = _modern(item)
    status = parse_build_status(rows.text(item, "status")) or BuildStatus.PENDING
    created_at = rows.time(item, "created_at")
    updated_at = rows.optional_time(item, "updated_at") or created_at
    stored = item.get("steps")
    steps = tuple(_to_step(step) for step in stored if isinstance(step, dict)) if isinstance(stored, list) else ()
    if not steps:
        finished = updated_at if status.is_final else None
        steps = (BuildStepRecord(status=status, started_at=updated_at, finished_at=finished),)
    return BuildRecord(
        id=rows.key_id(item, "SK"),
        workspace_id=rows.key_id(item, "PK"),
        kind=_to_kind(item),
        status=status,
        app_name=rows.text(item, "app_name"),
        created_at=created_at,
        updated_at=updated_at,
        finished_at=rows.optional_time(item, "finished_at") or (updated_at if status.is_final else None),
        function_id=rows.optional_text(item, "function_id"),
        builder_task_id=rows.optional_text(item, "builder_task_id"),
        source_path=rows.optional_text(item, "source_code_path"),
        wasm_path=rows.optional_text(item, "wasm_path"),
        image_url=rows.optional_text(item, "image_url"),
        expected_image=rows.optional_text(item, "expected_image"),
        error=rows.optional_text(item, "error_message"),
        sequence=rows.integer(item, "sequence", len(steps)),
        steps=steps,
        deploy=to_deploy(item.get("deploy")),
        deployment_id=rows.optional_text(item, "deployment_id"),
        sent_by=rows.optional_text(item, "sent_by"),
        tag=rows.optional_text(item, "tag"),
        has_credentials=item.get("has_credentials") is True,
    )


def to_task(item: Item) -> BuilderTask | None:
    """Read the Builder Service's own row as the task it is about; None where its status says nothing."""
    item = _modern(item)
    status = parse_build_status(rows.text(item, "status"))
    if status is None:
        return None
    return BuilderTask(
        task_id=rows.text(item, "task_id") or item["SK"].partition("#")[2],
        status=status,
        wasm_path=rows.optional_text(item, "wasm_path"),
        image_url=rows.optional_text(item, "image_url"),
        error=rows.optional_text(item, "error_message"),
    )


def _modern(item: Item) -> Item:
    return item | {name: item[old] for name, old in _PASCAL_CASE.items() if old in item and name not in item}


def _to_kind(item: Item) -> BuildKind:
    kind = BuildKind.__members__.get(rows.text(item, "kind").upper())
    if kind is not None:
        return kind
    return BuildKind.BUILD_AND_PUSH if rows.optional_text(item, "image_url") else BuildKind.BUILD


def _step_to_map(step: BuildStepRecord) -> dict[str, Any]:
    return {
        "status": spell_status(step.status),
        "started_at": stamp(step.started_at),
        "finished_at": stamp(step.finished_at) if step.finished_at else None,
        "duration_ms": step.duration_ms,
    }


def _to_step(step: Item) -> BuildStepRecord:
    return BuildStepRecord(
        status=parse_build_status(rows.text(step, "status")) or BuildStatus.PENDING,
        started_at=rows.time(step, "started_at"),
        finished_at=rows.optional_time(step, "finished_at"),
        duration_ms=None if step.get("duration_ms") is None else rows.number(step, "duration_ms"),
    )


def deploy_to_map(deploy: DeploySpec | None) -> dict[str, Any] | None:
    """How to deploy, as part of a build's or a deployment's row."""
    if deploy is None:
        return None
    return rows.without_none(asdict(deploy)) | {"failure_status": deploy.failure_status.value}


def to_deploy(item: Item | None) -> DeploySpec | None:
    """Read it back; what a newer version added is passed over."""
    if item is None:
        return None
    known = {field.name: item[field.name] for field in fields(DeploySpec) if field.name in item}
    status = FunctionStatus(item.get("failure_status", "failed"))
    return DeploySpec(**{"replicas": None} | known | {"failure_status": status})
