"""Execution logs in the table."""

import json
from datetime import timedelta
from typing import Any

import pytest

from gateway.records.execution_logs import ExecutionLogFilter, ExecutionLogRecord, ExecutionStatus, LogLevel
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Put
from tests.stores import StoppedClock

EVERYTHING = ExecutionLogFilter()


def log(clock: StoppedClock, number: float, **changes: Any) -> ExecutionLogRecord:
    """A log that is not stored yet, `number` seconds after the clock's time."""
    values: dict[str, Any] = {
        "id": f"log{number}",
        "function_id": "fn-00000001",
        "workspace_id": "ws-00000001",
        "timestamp": clock() + timedelta(seconds=number),
        "status": ExecutionStatus.SUCCESS,
        "duration_ms": 1.5,
        "status_code": 200,
        "request_body": '{"digits": 123456789012345678901234567890123456789012345}',
        "response_body": "[1e200, -0.0]",
        "logs": ("a note",),
        "level": LogLevel.INFO,
    }
    return ExecutionLogRecord(**{**values, **changes})


async def test_put_and_list_by_function_and_workspace(dynamo: Dynamo, clock: StoppedClock) -> None:
    """What was put comes back exactly, newest first, from the function and from its workspace."""
    first, second = log(clock, 1), log(clock, 2, function_id="fn-00000002")
    await dynamo.execution_logs.put(first)
    await dynamo.execution_logs.put(second)
    of_function = await dynamo.execution_logs.list_of_function(
        "fn-00000001", first=10, after=None, wanted=EVERYTHING, bodies=True
    )
    assert of_function.items == (first,)
    of_workspace = await dynamo.execution_logs.list_of_workspace(
        "ws-00000001", first=10, after=None, wanted=EVERYTHING, bodies=True
    )
    assert of_workspace.items == (second, first)


async def test_list_when_timestamps_are_equal(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Logs of the same microsecond are kept apart, and paging neither loses nor repeats one."""
    for number in range(5):
        await dynamo.execution_logs.put(log(clock, 0, id=f"log{number}"))
    seen: list[str] = []
    after: str | None = None
    for _ in range(5):
        page = await dynamo.execution_logs.list_of_workspace(
            "ws-00000001", first=2, after=after, wanted=EVERYTHING, bodies=False
        )
        seen += [each.id for each in page.items]
        if not page.has_next:
            break
        after = page.positions[-1]
    assert seen == ["log4", "log3", "log2", "log1", "log0"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ExecutionLogFilter(status=ExecutionStatus.ERROR), ["log3", "log1"]),
        (ExecutionLogFilter(level=LogLevel.INFO), ["log2", "log0"]),
        (ExecutionLogFilter(status=ExecutionStatus.SUCCESS, level=LogLevel.ERROR), []),
    ],
)
async def test_list_when_filtered(
    dynamo: Dynamo, clock: StoppedClock, wanted: ExecutionLogFilter, expected: list[str]
) -> None:
    """Status and level narrow the list."""
    for number in range(4):
        failed = {"status": ExecutionStatus.ERROR, "level": LogLevel.ERROR, "status_code": 500}
        await dynamo.execution_logs.put(log(clock, number, **(failed if number % 2 else {})))
    page = await dynamo.execution_logs.list_of_function(
        "fn-00000001", first=10, after=None, wanted=wanted, bodies=False
    )
    assert [each.id for each in page.items] == expected


async def test_list_when_bounded_in_time(dynamo: Dynamo, clock: StoppedClock) -> None:
    """`since` is inclusive and `until` exclusive, to the microsecond."""
    for number in range(4):
        await dynamo.execution_logs.put(log(clock, number))
    wanted = ExecutionLogFilter(since=clock() + timedelta(seconds=1), until=clock() + timedelta(seconds=3))
    for page in (
        await dynamo.execution_logs.list_of_function(
            "fn-00000001", first=10, after=None, wanted=wanted, bodies=False
        ),
        await dynamo.execution_logs.list_of_workspace(
            "ws-00000001", first=10, after=None, wanted=wanted, bodies=False
        ),
    ):
        assert [each.id for each in page.items] == ["log2", "log1"]


async def test_list_when_logs_have_expired(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A log whose time is over is not shown, also while DynamoDB has not deleted it yet."""
    await dynamo.execution_logs.put(log(clock, 0))
    clock.advance(days=30, seconds=1)
    page = await dynamo.execution_logs.list_of_function(
        "fn-00000001", first=10, after=None, wanted=EVERYTHING, bodies=False
    )
    assert page.items == ()


async def test_list_when_the_former_backend_wrote(dynamo: Dynamo) -> None:
    """A row with native bodies and without ttl is read; one that makes no sense is passed over."""
    old = {
        "PK": "FN#fn-00000001",
        "SK": "LOG#2025-12-07T12:00:00+09:00#a1",
        "id": "a1",
        "functionId": "fn-00000001",
        "timestamp": "2025-12-07T12:00:00+09:00",
        "status": "success",
        "duration": "12",
        "statusCode": 200,
        "requestBody": {"n": 1, "list": [True, None]},
        "responseBody": "hello",
        "logs": ["x"],
        "level": "info",
    }
    broken = {**old, "SK": "LOG#2025-12-07T12:00:01+09:00#a2", "duration": "soon"}
    await dynamo.table.write(Put(item=old))
    await dynamo.table.write(Put(item=broken))
    page = await dynamo.execution_logs.list_of_function(
        "fn-00000001", first=10, after=None, wanted=EVERYTHING, bodies=True
    )
    (read,) = page.items
    assert (read.id, read.duration_ms, read.level) == ("a1", 12.0, LogLevel.INFO)
    assert read.request_body is not None
    assert json.loads(read.request_body) == {"n": 1, "list": [True, None]}
    assert read.response_body == '"hello"'


async def test_delete_of_function(dynamo: Dynamo, clock: StoppedClock) -> None:
    """All logs of the function go, those of others stay."""
    for number in range(30):
        await dynamo.execution_logs.put(log(clock, number))
    await dynamo.execution_logs.put(log(clock, 1, function_id="fn-00000002"))
    await dynamo.execution_logs.delete_of_function("fn-00000001")
    page = await dynamo.execution_logs.list_of_workspace(
        "ws-00000001", first=100, after=None, wanted=EVERYTHING, bodies=False
    )
    assert [each.function_id for each in page.items] == ["fn-00000002"]
