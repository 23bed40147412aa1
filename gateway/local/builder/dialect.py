"""How a task is spelled over HTTP: as the running Builder Service spells it, or as its documents do."""

from typing import Any

from gateway.local.builder.config import Dialect
from gateway.local.builder.tasks import Phase, Task

# Over HTTP the running service does not tell building from pushing; only its table item does.
_RUNNING = {
    Phase.PENDING: "pending",
    Phase.BUILDING: "running",
    Phase.PUSHING: "running",
    Phase.DONE: "completed",
    Phase.FAILED: "failed",
}


def task_body(task: Task, dialect: Dialect) -> dict[str, Any]:
    """The answer of GET /tasks/{id}."""
    status = task.status.lower()
    if dialect is Dialect.RUNNING:
        status = next((spelled for phase, spelled in _RUNNING.items() if phase == task.status), status)
    return {"task_id": task.id, "status": status, "result": _result(task, dialect), "error": task.error}


def listed_task_body(task: Task, dialect: Dialect) -> dict[str, Any]:
    """One entry of GET /workspaces/{ws}/tasks."""
    return task_body(task, dialect) | {
        "app_name": task.app_name,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
    }


def _result(task: Task, dialect: Dialect) -> dict[str, Any] | None:
    """What came out so far: the artifact appears when pushing begins, and stays when the push fails."""
    if task.wasm_path is None and task.image_url is None:
        return None
    if dialect is Dialect.DOCUMENTED:
        return {"wasm_path": task.wasm_path, "image_url": task.image_url, "file_path": None}
    return {"wasm_path": task.wasm_path, "image_uri": task.image_url}
