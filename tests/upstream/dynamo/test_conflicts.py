"""What DynamoDB answers when it is busy: conflicts and unprocessed keys are tried again, as the same request."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.responses import Response

from gateway.errors import DynamoDBError
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import Dynamo, open_dynamo
from gateway.upstream.dynamo.expressions import Put
from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.refusals import DeployRefusals
from gateway.upstream.dynamo.table import MAX_ATTEMPTS
from tests.aws_proxy import AwsProxy, aws_proxy
from tests.stores import StoppedClock, prepared_settings

ITEM = {"PK": "a", "SK": "b"}
KEY = {"PK": {"S": "a"}, "SK": {"S": "b"}}


@dataclass(frozen=True, slots=True)
class Busy:
    """A table, and what answers for it."""

    dynamo: Dynamo
    proxy: AwsProxy
    table: str

    def prepare(self, operation: str, *answers: tuple[int, Any]) -> None:
        """The next answers of an operation."""
        headers = {"content-type": "application/x-amz-json-1.0"}
        prepared = [Response(json.dumps(body), status, headers) for status, body in answers]
        self.proxy.answers[operation] = prepared


@pytest.fixture
async def busy(aws_server: str, clock: StoppedClock) -> AsyncIterator[Busy]:
    """A fresh table behind a proxy."""
    settings = await prepared_settings(aws_server)
    async with (
        aws_proxy(aws_server) as proxy,
        open_dynamo(
            region=settings.aws_region,
            endpoint_url=proxy.url,
            table_name=settings.dynamodb_table_name,
            log_retention_days=30,
            clock=clock,
        ) as dynamo,
    ):
        yield Busy(dynamo, proxy, settings.dynamodb_table_name)


def conflict(operation: str, reason: str = "TransactionConflict") -> tuple[int, Any]:
    """How DynamoDB says that another transaction is at it, or why it cancelled this one."""
    if operation != "TransactWriteItems":
        return 400, {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException", "message": "busy"}
    return 400, {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": f"Transaction cancelled [{reason}]",
        "CancellationReasons": [{"Code": reason}],
    }


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ("PutItem", "TransactionConflict"),
        ("TransactWriteItems", "TransactionConflict"),
        ("TransactWriteItems", "ThrottlingError"),
        ("TransactWriteItems", "ProvisionedThroughputExceeded"),
    ],
)
async def test_write_when_its_rows_are_busy(busy: Busy, operation: str, reason: str) -> None:
    """A write that meets a transaction, or is throttled, is repeated with its token until it is through."""
    busy.prepare(operation, *[conflict(operation, reason)] * 3)
    put = Put(item=ITEM)
    await (busy.dynamo.table.write(put) if operation == "PutItem" else busy.dynamo.table.transact([put]))
    assert await busy.dynamo.table.get(Key("a", "b")) == ITEM
    assert busy.proxy.operations.count(f"dynamodb {operation}") == 4
    tokens = [json.loads(body).get("ClientRequestToken") for body in busy.proxy.bodies]
    assert len(set(tokens)) == 1
    assert (tokens[0] is None) is (operation == "PutItem")


async def test_write_when_there_is_no_end_of_conflicts(busy: Busy) -> None:
    """After some seconds it is a DYNAMODB_ERROR that can be tried again."""
    busy.prepare("PutItem", *[conflict("PutItem")] * MAX_ATTEMPTS)
    with pytest.raises(DynamoDBError) as raised:
        await busy.dynamo.table.write(Put(item=ITEM))
    assert raised.value.retryable
    assert busy.proxy.operations.count("dynamodb PutItem") == MAX_ATTEMPTS


async def test_place_that_is_given_up_meanwhile(busy: Busy) -> None:
    """A claim that was refused for an owner who is gone a moment later is made; a start may be made again."""
    before, after = Place("default", "shop"), Place("default", "shop1")
    busy.prepare("TransactWriteItems", conflict("TransactWriteItems", "ConditionalCheckFailed"))
    await busy.dynamo.places.move("fn-00000001", before, after)
    assert await busy.dynamo.places.owner_of(after) == "fn-00000001"
    refusal = await DeployRefusals(busy.dynamo.table).of_place(before)
    assert refusal.extensions == {"code": "CONFLICT", "retryable": True}
    assert refusal.message == "The SpinApp shop in default was another function's until now; try again."


async def test_batch_get_when_keys_are_left_unprocessed(busy: Busy) -> None:
    """What was left is asked for again, and nothing else."""
    await busy.dynamo.table.write(Put(item=ITEM))
    left = {busy.table: {"Keys": [KEY], "ConsistentRead": True}}
    other = {"PK": {"S": "c"}, "SK": {"S": "d"}}
    busy.prepare("BatchGetItem", (200, {"Responses": {busy.table: [other]}, "UnprocessedKeys": left}))
    found = await busy.dynamo.table.batch_get([Key("a", "b"), Key("c", "d")])
    assert found == {Key("a", "b"): ITEM, Key("c", "d"): {"PK": "c", "SK": "d"}}
    assert busy.proxy.operations.count("dynamodb BatchGetItem") == 2


async def test_delete_when_rows_are_left_unprocessed(busy: Busy) -> None:
    """What was left is deleted by another request."""
    await busy.dynamo.table.write(Put(item=ITEM))
    left = {busy.table: [{"DeleteRequest": {"Key": KEY}}]}
    busy.prepare("BatchWriteItem", (200, {"UnprocessedItems": left}))
    await busy.dynamo.table.delete_many([Key("a", "b")])
    assert await busy.dynamo.table.get(Key("a", "b")) is None
