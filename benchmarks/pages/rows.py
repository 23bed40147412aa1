"""What the stubs hold: the rows of 50 workspaces, one of them with 50 functions that are busy all day."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.pages.documents import FUNCTION_ID, WORKSPACE_ID
from gateway.records.clock import KST
from gateway.upstream.dynamo.attributes import encode_item

START = datetime(2026, 1, 5, 9, 30, 0, 123456, tzinfo=UTC)
HOUR = int(time.time() // 3600)
COUNT, LOGS, LINES, POINTS, BUILDS = 50, 100, 100, 240, 10

Rows = dict[str, list[dict[str, Any]]]


def _at(minutes: float) -> str:
    return (START - timedelta(minutes=minutes)).astimezone(KST).isoformat(timespec="microseconds")


def _workspace(number: int) -> dict[str, Any]:
    id_ = f"ws-bench{number:03}"
    return {
        "PK": f"WS#{id_}",
        "SK": "METADATA",
        "GSI1PK": "WORKSPACES",
        "GSI1SK": f"{_at(number)}#{id_}",
        "id": id_,
        "name": f"Workspace {number}",
        "description": "Orders, invoices and what goes with them",
        "createdAt": _at(number),
        "functionCount": COUNT if number == 0 else number,
        "invocations24h": 0,
        "errorRate": 0,
    }


def _figures(pk: str, sk: str, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"PK": pk, "SK": sk}
    for back in range(24 + 2):  # two hours more, so that the window may move on while the benchmark runs
        hour = HOUR + 1 - back
        row |= {f"i{hour}": 40 + seed + back, f"e{hour}": back % 4, f"d{hour}": 1234.567 + seed * 3 + back}
    return row


def _function(number: int) -> dict[str, Any]:
    id_ = f"fn-bench{number:03}"
    return {
        "PK": f"WS#{WORKSPACE_ID}",
        "SK": f"FN#{id_}",
        "id": id_,
        "workspaceId": WORKSPACE_ID,
        "name": f"process-orders-{number}",
        "description": "Takes an order, checks it and hands it on",
        "runtime": "Python 3.12",
        "memory": 256,
        "timeout": 30,
        "httpMethods": ["GET", "POST"],
        "environmentVariables": {"STAGE": "production", "QUEUE": f"orders-{number}"},
        "code": "ZnJvbSBzcGluX3NkayBpbXBvcnQgaHR0cAo=",
        "status": "active",
        "invocationUrl": f"http://processorders{number}.default.svc.cluster.local",
        "createdAt": _at(9_000 + number),
        "lastModified": _at(700 + number),
        "lastDeployed": _at(600 + number),
        "app_name": f"processorders{number}",
        "namespace": "default",
        "revision": 3,
        "deployed_revision": 3,
        "invocations24h": 0,
        "errors24h": 0,
        "avgDuration": 0,
    }


def _log(number: int, function: int) -> dict[str, Any]:
    id_, function_id, failed = f"log{number:017}", f"fn-bench{function:03}", number % 10 == 3
    body = {"order": number, "items": [{"sku": "A-1", "count": 2}, {"sku": "B-7", "count": 1}], "total": 31.4}
    return {
        "PK": f"FN#{function_id}",
        "SK": f"LOG#{_at(number)}#{id_}",
        "GSI1PK": f"WS#{WORKSPACE_ID}#LOGS",
        "GSI1SK": f"{_at(number)}#{id_}",
        "id": id_,
        "functionId": function_id,
        "workspace_id": WORKSPACE_ID,
        "timestamp": _at(number),
        "status": "error" if failed else "success",
        "duration": 12.345 + number,
        "statusCode": 500 if failed else 200,
        "requestBody": json.dumps(body),
        "responseBody": json.dumps({"accepted": not failed, **body}),
        "bodyFormat": "json",
        "logs": ["The function answered with status 500."] if failed else [],
        "level": "ERROR" if failed else "INFO",
        "ttl": 4_000_000_000,
    }


def _build(number: int) -> dict[str, Any]:
    id_ = f"build{number:017}"
    statuses = ("pending", "building", "pushing", "deploying", "completed")
    return {
        "PK": f"WS#{WORKSPACE_ID}",
        "SK": f"BUILD#{id_}",
        "GSI1PK": f"WS#{WORKSPACE_ID}#BUILDS",
        "GSI1SK": f"{_at(number)}#{id_}",
        "Type": "BuildTask",
        "task_id": id_,
        "workspace_id": WORKSPACE_ID,
        "app_name": f"processorders{number}",
        "kind": "deploy",
        "function_id": f"fn-bench{number:03}",
        "builder_task_id": f"0d5b9a52-1111-4222-8333-{number:012}",
        "status": "completed",
        "wasm_path": f"s3://artifacts/{id_}/app.wasm",
        "image_url": f"registry.example.com/{id_}:1",
        "error_message": None,
        "created_at": _at(number),
        "updated_at": _at(number - 0.5),
        "sequence": 5,
        "steps": [
            {
                "status": status,
                "started_at": _at(number - index / 10),
                "finished_at": _at(number - index / 10 - 0.1),
                "duration_ms": 6000,
            }
            for index, status in enumerate(statuses)
        ],
    }


def make_rows() -> Rows:
    """The rows of each list, as DynamoDB writes them, by the partition and the start of the sort key."""
    workspaces = [_workspace(number) for number in range(COUNT)]
    stats = [_figures(row["PK"], "WSSTATS", number) for number, row in enumerate(workspaces)]
    functions = [_function(number) for number in range(COUNT)]
    ws = f"WS#{WORKSPACE_ID}"
    function_stats = [_figures(ws, f"FNSTATS#{row['id']}", number) for number, row in enumerate(functions)]
    pointers = [{"PK": f"FN#{row['id']}", "SK": "METADATA", "workspace_id": WORKSPACE_ID} for row in functions]
    rows = {
        "WORKSPACES ": workspaces,
        f"{ws} FN#": functions,
        f"{ws} FNSTATS#": function_stats,
        f"{ws}#LOGS ": [_log(number, number % COUNT) for number in range(COUNT)],
        f"{ws}#BUILDS ": [_build(number) for number in range(BUILDS)],
        f"FN#{FUNCTION_ID} LOG#": [_log(number, 0) for number in range(LOGS)],
        "keys": [*workspaces, *stats, *functions, *function_stats, *pointers],
    }
    return {name: [encode_item(row) for row in found] for name, found in rows.items()}


def loki_answer() -> bytes:
    """100 lines in four streams, newest first."""
    streams = []
    newest = int(START.timestamp()) * 10**9
    for pod in range(4):
        labels = {
            "function_id": FUNCTION_ID,
            "app": "processorders0",
            "namespace": "default",
            "pod": f"processorders0-6b7f-{pod}",
            "stream": "stdout",
            "detected_level": "info",
            "service_name": "processorders0",
        }
        values = [
            [
                str(newest - (line * 4 + pod) * 250_000_000),
                f"order {line * 4 + pod} accepted in 12 ms, total 31.40",
            ]
            for line in range(LINES // 4)
        ]
        streams.append({"stream": labels, "values": values})
    return json.dumps({"status": "success", "data": {"resultType": "streams", "result": streams}}).encode()


def prometheus_answer(*, ranged: bool) -> bytes:
    """One series, of one sample or of an hour of them."""
    end = int(START.timestamp())
    values = [[end - (POINTS - point) * 15, f"{0.25 + point % 7 / 100:.4f}"] for point in range(POINTS + 1)]
    series = {"metric": {"label_function_id": FUNCTION_ID}}
    series |= {"values": values} if ranged else {"value": values[-1]}  # type: ignore[dict-item]  # one or the other
    kind = "matrix" if ranged else "vector"
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": [series]}}).encode()
