"""The tasks the builder knows, and the item it writes for each into the shared table.

The item is what survives a restart and what other replicas see. The quirks are the real service's: a task that
this process has seen is never read again, and `source_code_path` names a folder that does not exist.
"""

import enum
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

logger = logging.getLogger(__name__)


class Phase(enum.StrEnum):
    """A task's status as the table has it."""

    PENDING = "PENDING"
    BUILDING = "BUILDING"
    PUSHING = "PUSHING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(slots=True, kw_only=True)
class Task:
    """A task; `status` is a Phase, or what another writer put into the item. Times are naive UTC, ISO 8601."""

    id: str
    workspace_id: str
    app_name: str
    created_at: str
    updated_at: str
    status: str = Phase.PENDING
    source_code_path: str | None = None
    wasm_path: str | None = None
    image_url: str | None = None
    error: str | None = None


# Attribute of the item: attribute of the task. What is None is absent from the item.
_ATTRIBUTES = {
    "task_id": "id",
    "workspace_id": "workspace_id",
    "app_name": "app_name",
    "status": "status",
    "source_code_path": "source_code_path",
    "wasm_path": "wasm_path",
    "image_url": "image_url",
    "error_message": "error",
    "created_at": "created_at",
    "updated_at": "updated_at",
}


class Tasks:
    """Tasks by id, in memory and in the table."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str, bucket: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._bucket = bucket
        self._seen: dict[str, Task] = {}

    async def create(self, task_id: str, workspace_id: str, app_name: str, filename: str) -> Task:
        """Store a new task as PENDING."""
        now = _now()
        wrong = f"s3://{self._bucket}/build-sources/{workspace_id}/{uuid.uuid4()}/{filename}"
        task = Task(
            id=task_id,
            workspace_id=workspace_id,
            app_name=app_name,
            source_code_path=wrong,
            created_at=now,
            updated_at=now,
        )
        await self._write(task)
        self._seen[task.id] = task
        return task

    async def enter(self, task: Task, phase: Phase) -> None:
        """Move a task on and store it as it is now; a table that can't be written does not stop the build."""
        task.status = phase
        task.updated_at = _now()
        try:
            await self._write(task)
        except (ClientError, BotoCoreError) as error:
            logger.warning("task %s: its item could not be written: %s", task.id, error)

    async def get(self, task_id: str, workspace_id: str | None) -> Task | None:
        """Find a task; one that this process has not seen is only found with its workspace."""
        if task_id not in self._seen and workspace_id:
            key = {"PK": {"S": f"WS#{workspace_id}"}, "SK": {"S": f"BUILD#{task_id}"}}
            answer = await self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
            if "Item" in answer:
                self._seen[task_id] = _read(_strings(answer["Item"]))
        return self._seen.get(task_id)

    async def list(self, workspace_id: str) -> list[Task]:
        """Read all build items of a workspace from the table, those of other writers included, newest first."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="PK = :workspace AND begins_with(SK, :build)",
            ExpressionAttributeValues={":workspace": {"S": f"WS#{workspace_id}"}, ":build": {"S": "BUILD#"}},
            ConsistentRead=True,
        )
        tasks = [_read(_strings(item)) async for page in pages for item in page["Items"]]
        return sorted(tasks, key=lambda task: task.created_at, reverse=True)

    async def _write(self, task: Task) -> None:
        item = {"PK": f"WS#{task.workspace_id}", "SK": f"BUILD#{task.id}", "Type": "BuildTask"}
        item |= {name: value for name, field in _ATTRIBUTES.items() if (value := getattr(task, field)) is not None}
        await self._dynamodb.put_item(
            TableName=self._table, Item={name: {"S": value} for name, value in item.items()}
        )


def _strings(item: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The item's string attributes; another writer's numbers, lists and NULLs mean nothing here."""
    return {name: text for name, value in item.items() if isinstance(text := value.get("S"), str)}


def _read(item: dict[str, str]) -> Task:
    values = {field: item[name] for name, field in _ATTRIBUTES.items() if name in item}
    key = {"id": item["SK"].removeprefix("BUILD#"), "workspace_id": item["PK"].removeprefix("WS#")}
    return Task(**{"app_name": "", "created_at": "", "updated_at": ""} | key | values)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
