"""What the gateway writes, as the former backend and the Builder Service read it: attributes and their types."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.records.builds import BuildStatus
from gateway.records.execution_logs import ExecutionLogRecord, ExecutionStatus, LogLevel
from gateway.records.functions import FunctionStatus
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.attributes import encode_item
from gateway.upstream.dynamo.keys import Key, build_key, function_key, stamp, workspace_key
from tests.builds.samples import START, a_build, a_function, a_workspace

WS = "ws-1a2b3c4d"
KOREAN = "2026-03-01T21:30:00.000000+09:00"


async def raw(dynamo: Dynamo, key: Key) -> dict[str, Mapping[str, Any]]:
    """A row in DynamoDB's own JSON."""
    item = await dynamo.table.get(key)
    assert item is not None
    return dict(encode_item(item))


def types(item: Mapping[str, Mapping[str, Any]], *names: str) -> dict[str, str]:
    """The types of those attributes that are there."""
    return {name: next(iter(item[name])) for name in names if name in item}


async def test_workspace(dynamo: Dynamo) -> None:
    """All attributes that the former backend's model required."""
    await dynamo.workspaces.create(a_workspace(WS, START))
    item = await raw(dynamo, workspace_key(WS))
    names = ("id", "name", "description", "createdAt", "functionCount", "invocations24h", "errorRate")
    assert types(item, *names) == dict(zip(names, ["S", "S", "S", "S", "N", "N", "N"], strict=True))
    assert item["createdAt"] == {"S": KOREAN}


async def test_function(dynamo: Dynamo) -> None:
    """The same for functions; what has no value is absent, which was null to it."""
    await dynamo.workspaces.create(a_workspace(WS, START))
    function = replace(a_function(WS, START), status=FunctionStatus.ACTIVE)
    await dynamo.functions.create(function, b"print(1)")
    item = await raw(dynamo, function_key(WS, function.id))
    texts = ("id", "workspaceId", "name", "description", "runtime", "code", "status", "lastModified")
    numbers = ("memory", "timeout", "invocations24h", "errors24h", "avgDuration")
    assert types(item, *texts) == dict.fromkeys(texts, "S")
    assert types(item, *numbers) == dict.fromkeys(numbers, "N")
    assert types(item, "httpMethods", "environmentVariables") == {"httpMethods": "L", "environmentVariables": "M"}
    assert (item["status"], item["code"], item["lastModified"]) == (
        {"S": "active"},
        {"S": "cHJpbnQoMSk="},
        {"S": KOREAN},
    )
    assert not {"invocationUrl", "lastDeployed"} & item.keys()


async def test_execution_log(dynamo: Dynamo) -> None:
    """The same for logs, newest last in key order."""
    log = ExecutionLogRecord(
        id="log-1",
        function_id="fn-00000001",
        workspace_id=WS,
        timestamp=START,
        status=ExecutionStatus.ERROR,
        duration_ms=1.5,
        status_code=500,
        request_body='{"a": 1}',
        response_body='"no"',
        logs=("one",),
        level=LogLevel.ERROR,
    )
    await dynamo.execution_logs.put(log)
    item = await raw(dynamo, Key("FN#fn-00000001", f"LOG#{KOREAN}#log-1"))
    texts = ("id", "functionId", "timestamp", "status", "level", "requestBody", "responseBody")
    assert types(item, *texts) == dict.fromkeys(texts, "S")
    assert types(item, "duration", "statusCode", "logs") == {"duration": "N", "statusCode": "N", "logs": "L"}
    assert (item["status"], item["level"]) == ({"S": "error"}, {"S": "ERROR"})


async def test_build(dynamo: Dynamo) -> None:
    """Statuses in lower case, `completed` for a build that is done, NULL where there is no value."""
    await dynamo.workspaces.create(a_workspace(WS, START))
    build = a_build(status=BuildStatus.DONE, image_url="registry/hello:1")
    await dynamo.builds.create(build, lease_until=START)
    item = await raw(dynamo, build_key(WS, build.id))
    assert {
        name: item[name] for name in ("Type", "task_id", "workspace_id", "app_name", "status", "image_url")
    } == {
        "Type": {"S": "BuildTask"},
        "task_id": {"S": build.id},
        "workspace_id": {"S": WS},
        "app_name": {"S": "hello"},
        "status": {"S": "completed"},
        "image_url": {"S": "registry/hello:1"},
    }
    empty = ("source_code_path", "wasm_path", "error_message")
    assert types(item, *empty) == dict.fromkeys(empty, "NULL")
    assert (item["created_at"], item["updated_at"]) == ({"S": stamp(START)}, {"S": KOREAN})
