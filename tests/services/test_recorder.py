"""Recording invocations, also while DynamoDB refuses."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.errors import DynamoDBError
from gateway.records.execution_logs import ExecutionLogFilter, ExecutionLogRecord
from gateway.records.functions import FunctionRecord
from gateway.services.calls import FunctionCall, Invocation
from gateway.services.recorder import ExecutionRecorder
from gateway.upstream.dynamo import Dynamo, open_dynamo
from gateway.upstream.dynamo.attributes import encode_item
from gateway.upstream.dynamo.execution_logs import body_text
from gateway.upstream.dynamo.expressions import Delete
from gateway.upstream.dynamo.keys import execution_log_key, function_figures_key
from gateway.upstream.functions import FunctionResponse
from tests.observability import serving
from tests.stores import StoppedClock, prepared_settings
from tests.upstream.dynamo.test_execution_logs import log
from tests.upstream.dynamo.test_figures import make_function, read
from tests.upstream.dynamo.test_functions import function

MAX_ROW_BYTES = 400 * 1024
EVERYTHING = ExecutionLogFilter()
UNAVAILABLE = (503, "ServiceUnavailable")
THROTTLED = (400, "ThrottlingException")
CUT = (200, "")
"""An answer that breaks off in the middle."""
REFUSED = (400, "AccessDeniedException")


@dataclass(slots=True)
class FailingDoor:
    """Stands in front of the table and fails PutItem of logs as told; where they are `lost` they arrive first."""

    aws_url: str
    failed: str = "PutItem"
    """The operation."""
    failures: list[tuple[int, str]] = field(default_factory=list)
    are_lost: bool = False
    holds: bool = False
    """Whether these calls are not answered at all."""
    calls: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or fail it."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        fails = operation == self.failed and (b"LOG#" in body or b"STATS" in body)
        self.calls += fails
        if fails and self.holds:
            await asyncio.sleep(60)
        failure = self.failures.pop(0) if fails and self.failures else None
        status, content = 0, b""
        if failure is None or self.are_lost:
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            async with httpx.AsyncClient(trust_env=False) as client:
                passed = await client.post(self.aws_url, content=body, headers=headers)
            status, content = passed.status_code, passed.content
        if failure is not None:
            status, code = failure
            content = json.dumps({"__type": f"x#{code}", "message": "no"}).encode()
        headers = {"content-type": "application/x-amz-json-1.0"} | (
            {"content-length": "500"} if failure == CUT else {}
        )
        answer = Response(content, status, headers)
        await answer(scope, receive, send)


@pytest.fixture
async def door(aws_server: str) -> FailingDoor:
    """A door that fails nothing yet."""
    return FailingDoor(aws_server)


@pytest.fixture
async def behind(aws_server: str, door: FailingDoor, clock: StoppedClock) -> AsyncIterator[Dynamo]:
    """A fresh table behind the door, with a function in it."""
    stores = await prepared_settings(aws_server)
    async with (
        serving(door) as url,
        open_dynamo(
            region=stores.aws_region,
            endpoint_url=url,
            table_name=stores.dynamodb_table_name,
            log_retention_days=30,
            clock=clock,
        ) as dynamo,
    ):
        await make_function(dynamo, clock)
        yield dynamo


async def stored_ids(dynamo: Dynamo) -> list[str]:
    """The ids of the function's logs."""
    page = await dynamo.execution_logs.list_of_function(
        "fn-00000001", first=10, after=None, wanted=EVERYTHING, bodies=False
    )
    return [each.id for each in page.items]


async def record(dynamo: Dynamo, of: ExecutionLogRecord) -> None:
    """Record an invocation, and see it to its end."""
    recorder = ExecutionRecorder(dynamo)
    await recorder.record(of)
    await recorder.finish()


async def test_record_when_dynamodb_fails_for_a_moment(
    behind: Dynamo, door: FailingDoor, clock: StoppedClock
) -> None:
    """The log is stored once it can be, and the invocation is counted once."""
    door.failures = [UNAVAILABLE] * 4
    await ExecutionRecorder(behind).record(log(clock, 0))
    assert await stored_ids(behind) == ["log0"]
    assert [figures.invocations for figures in await read(behind)] == [1, 1]


async def test_record_when_the_answer_is_lost(behind: Dynamo, door: FailingDoor, clock: StoppedClock) -> None:
    """A log that arrived is not an error because the second attempt finds it."""
    door.failures, door.are_lost = [UNAVAILABLE], True
    await ExecutionRecorder(behind).record(log(clock, 0))
    assert await stored_ids(behind) == ["log0"]


async def test_record_when_dynamodb_refuses(
    behind: Dynamo, door: FailingDoor, clock: StoppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The error says that the function did run, and is none to try again; the operator's log has the id."""
    door.failures = [REFUSED]
    with pytest.raises(DynamoDBError) as raised:
        await ExecutionRecorder(behind).record(log(clock, 0))
    assert raised.value.message.startswith("The function ran (status 200), but its log could not be stored: ")
    assert raised.value.retryable is False
    assert raised.value.details == {"statusCode": 200, "duration": 1.5, "executed": True}
    assert door.calls == 1
    assert "the execution log log0 of fn-00000001 is lost" in caplog.text


@pytest.mark.parametrize("failure", [CUT, UNAVAILABLE], ids=["cut", "503"])
async def test_count_when_the_answer_is_lost(
    behind: Dynamo,
    door: FailingDoor,
    clock: StoppedClock,
    caplog: pytest.LogCaptureFixture,
    failure: tuple[int, str],
) -> None:
    """An invocation that may have been counted is not counted again; the operator's log says so."""
    door.failed, door.failures, door.are_lost = "UpdateItem", [failure] * 2, True
    await record(behind, log(clock, 0))
    assert [figures.invocations for figures in await read(behind)] == [1, 1]
    assert door.calls == 2
    assert "the figures of fn-00000001 may lack the invocation log0: DynamoDBError" in caplog.text


async def test_count_when_dynamodb_throttles(behind: Dynamo, door: FailingDoor, clock: StoppedClock) -> None:
    """What was refused was not counted, and is tried again."""
    door.failed, door.failures = "UpdateItem", [THROTTLED] * 2
    await record(behind, log(clock, 0))
    assert [figures.invocations for figures in await read(behind)] == [1, 1]


async def test_record_while_counting_waits(behind: Dynamo, door: FailingDoor, clock: StoppedClock) -> None:
    """Who waits for an answer does not wait for the figures; who reads them waits a moment, and no longer."""
    door.failed, door.holds = "UpdateItem", True
    recorder = ExecutionRecorder(behind, timeout_s=3)
    async with asyncio.timeout(1):
        await recorder.record(log(clock, 0))
    assert await stored_ids(behind) == ["log0"]
    async with asyncio.timeout(5):
        assert [figures.invocations for figures in await read(behind)] == [0, 0]
        await recorder.finish()


async def test_record_when_the_caller_is_cancelled(behind: Dynamo, clock: StoppedClock) -> None:
    """The log is stored all the same; `finish` waits for it."""
    recorder = ExecutionRecorder(behind)
    recording = asyncio.create_task(recorder.record(log(clock, 0)))
    await asyncio.sleep(0)
    recording.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording
    await recorder.finish()
    assert await stored_ids(behind) == ["log0"]


async def test_record_when_the_function_was_deleted(behind: Dynamo, clock: StoppedClock) -> None:
    """The log of a call that outlasts its function goes as the others did."""
    await record(behind, log(clock, 0, function_id="fn-00000002"))
    page = await behind.execution_logs.list_of_function(
        "fn-00000002", first=10, after=None, wanted=EVERYTHING, bodies=False
    )
    assert page.items == ()


async def test_record_when_only_the_figures_are_missing(behind: Dynamo, clock: StoppedClock) -> None:
    """A function that is still there keeps its log."""
    await behind.table.write(Delete(key=function_figures_key("ws-00000001", "fn-00000001")))
    await record(behind, log(clock, 0))
    assert await stored_ids(behind) == ["log0"]


async def invocation(
    of: FunctionRecord, sent: bytes, answered: bytes, kind: bytes, note: str
) -> ExecutionLogRecord:
    """The log of a call with these bodies that broke off in the end."""

    async def body() -> AsyncIterator[bytes]:
        yield answered

    call = FunctionCall(method="POST", target=b"/", headers=[(b"content-type", kind)], body=sent)
    under_way = Invocation(of, call)
    under_way.request_body()
    under_way.answered(FunctionResponse(status_code=200, headers=[(b"content-type", kind)], body=body()))
    async for _ in under_way.chunks():
        pass
    under_way.broke_off(Exception(note))
    return under_way.to_record(StoppedClock()())


WORST = st.builds(
    lambda piece, size: (piece * (size // len(piece) + 1))[:size],
    st.sampled_from([b"\x00", b"\x01", b"\xff", b'"', b"\\", "\U0001f600".encode(), b"x", b"[", b"\n", b"\xc3"])
    | st.binary(min_size=1, max_size=6),
    st.sampled_from(
        [0, 1, 8_192, 43_000, 48_000, 65_535, 65_536, 65_537, 190_000, 262_143, 262_144, 262_145, 900_000]
    ),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORST, WORST, st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), max_size=2_000))
async def test_log_of_the_worst_bodies(
    dynamo: Dynamo, clock: StoppedClock, sent: bytes, answered: bytes, kind: bytes, note: str
) -> None:
    """Whatever passed, its row is below DynamoDB's limit, is stored, and reads back as it was."""
    record = await invocation(function("fn-00000001", clock), sent, answered, kind, note)
    await dynamo.execution_logs.put(record)
    item = await dynamo.table.get(execution_log_key(record.function_id, record.timestamp, record.id))
    assert item is not None
    assert len(json.dumps(encode_item(item), ensure_ascii=False).encode()) < 2 * MAX_ROW_BYTES  # escaped twice
    size = sum(len(name.encode()) + len(str(value).encode()) for name, value in item.items())
    assert size < MAX_ROW_BYTES
    assert (body_text(item, "requestBody"), body_text(item, "responseBody")) == (
        record.request_body,
        record.response_body,
    )
    assert tuple(item["logs"]) == record.logs
