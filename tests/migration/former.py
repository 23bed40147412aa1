"""Rows as the former backend and the Builder Service wrote them; no time in them is now's."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.records.clock import KST
from gateway.upstream.dynamo.attributes import encode_item

START = datetime(2025, 9, 1, 3, 0, tzinfo=UTC)
FUNCTIONS = 10
"""Of each workspace."""
MAX_WRITES = 25


def at(seconds: float) -> datetime:
    """A time so many seconds after the first."""
    return START + timedelta(seconds=seconds)


def korean(time: datetime) -> str:
    """As the former backend wrote times; a whole second has no fraction."""
    return time.astimezone(KST).isoformat()


def naive(time: datetime) -> str:
    """As the Builder Service writes them."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat()


def task_id(name: str) -> str:
    """A UUID that is the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def workspace_row(ws: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    """A workspace; its counters are wrong, as they were."""
    row = {"PK": f"WS#{ws}", "SK": "METADATA", "id": ws, "name": f"Team {number}", "description": None}
    return (
        row | {"createdAt": korean(at(number)), "functionCount": 99, "invocations24h": 2, "errorRate": 0} | changes
    )


def function_row(ws: str, fn: str, number: int = 0, **changes: Any) -> dict[str, Any]:
    """A function that was deployed."""
    row: dict[str, Any] = {
        "PK": f"WS#{ws}",
        "SK": f"FN#{fn}",
        "id": fn,
        "workspaceId": ws,
        "name": f"hello-{number}",
    }
    row |= {"description": None, "runtime": "Python 3.12", "memory": 256, "timeout": 30, "httpMethods": ["GET"]}
    row |= {"environmentVariables": {"A": "1"}, "code": "cHJpbnQoMSk=", "status": "active"}
    row |= {"invocationUrl": f"http://{fn.replace('-', '')}.default.svc.cluster.local"}
    row |= {"lastModified": korean(at(number)), "lastDeployed": korean(at(number))}
    return row | {"invocations24h": 7, "errors24h": 0, "avgDuration": "12.5"} | changes


def log_row(fn: str, number: int, **changes: Any) -> dict[str, Any]:
    """An invocation, with its bodies as native values."""
    time, id_ = korean(at(number)), f"log-{number:08d}"
    row: dict[str, Any] = {
        "PK": f"FN#{fn}",
        "SK": f"LOG#{time}#{id_}",
        "id": id_,
        "functionId": fn,
        "timestamp": time,
    }
    row |= {"status": "success", "duration": 12, "statusCode": 200, "requestBody": {"n": number}, "level": "INFO"}
    return row | {"responseBody": {"ok": True, "text": "x" * 200}, "logs": ["one", "two"]} | changes


def build_row(ws: str, id_: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """A finished build of the former backend."""
    row: dict[str, Any] = {"PK": f"WS#{ws}", "SK": f"BUILD#{id_}", "Type": "BuildTask", "task_id": id_}
    row |= {"workspace_id": ws, "app_name": "hello", "status": "completed", "source_code_path": "s3://bucket/x"}
    row |= {"wasm_path": None, "image_url": "registry/hello:1", "error_message": None}
    return row | {"created_at": korean(at(seconds)), "updated_at": korean(at(seconds + 20))} | changes


def task_row(ws: str, task: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """A task of the Builder Service: capitals, naive UTC, and nothing where there is no value."""
    row = {"PK": f"WS#{ws}", "SK": f"BUILD#{task}", "Type": "BuildTask", "task_id": task, "workspace_id": ws}
    row |= {"app_name": "hello", "status": "DONE", "wasm_path": f"s3://bucket/build-artifacts/{task}/hello.wasm"}
    return row | {"created_at": naive(at(seconds)), "updated_at": naive(at(seconds + 19))} | changes


def old_row(ws: str, task: str, seconds: float, **changes: Any) -> dict[str, Any]:
    """A task of the Builder Service's oldest form."""
    row = {"PK": f"ws#{ws}", "SK": f"build#{task}", "Status": "DONE", "AppName": "ancient"}
    row |= {"CreatedAt": naive(at(seconds)), "UpdatedAt": naive(at(seconds + 9))}
    return row | {"WasmPath": "s3://bucket/old.wasm", "ImageUrl": "registry/old:1"} | changes


def former_rows(number: int) -> Iterator[dict[str, Any]]:
    """So many rows: workspaces of 10 functions, 10 builds with their tasks, and 1,000 logs."""
    made = 0
    for index in range(number):
        for row in _workspace_rows(index):
            if made == number:
                return
            made += 1
            yield row


def _workspace_rows(index: int) -> Iterator[dict[str, Any]]:
    ws = f"ws-{index:08d}"
    yield workspace_row(ws, index)
    functions = [f"fn-{index:04d}{number:04d}" for number in range(FUNCTIONS)]
    for number, fn in enumerate(functions):
        yield function_row(ws, fn, number)
        id_, task = f"former-build-{index:04d}-{number:04d}", task_id(f"{index} {number}")
        artifact = f"s3://bucket/build-artifacts/{task}/hello.wasm"
        yield build_row(ws, id_, number * 100, wasm_path=artifact)
        yield task_row(ws, task, number * 100 + 1)
    yield old_row(ws, task_id(f"old {index}"), 5)
    for number in range(1000):
        yield log_row(functions[number % FUNCTIONS], number)


def write_rows(client: Any, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Put rows into a table."""
    requests = [{"PutRequest": {"Item": encode_item(row)}} for row in rows]
    for start in range(0, len(requests), MAX_WRITES):
        answer = client.batch_write_item(RequestItems={table: requests[start : start + MAX_WRITES]})
        assert not answer["UnprocessedItems"]
