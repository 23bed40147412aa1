"""The wire beside the SDK: the same answers, the same errors, its retries."""

import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from botocore.exceptions import ChecksumError, ClientError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.local.processes import listen, url_of
from gateway.telemetry import recording_calls
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Check, Put, Update, Write, equals, exists, not_exists
from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.wire import Wire, open_wire
from tests.aws import REGION
from tests.observability import serving
from tests.stores import prepared_settings

KEY = Key("WS#ws-1", "METADATA")
ROW: Item = {
    **KEY.as_item(),
    "text": "ünï\u2028\U0001f600",
    "int": 10**37,
    "bytes": b"\x00\xff",
    "none": None,
    "flag": True,
    "list": [1, "two", [b"3"], {}],
    "map": {"a": {"b": [False]}},
}


@asynccontextmanager
async def both_tables(aws_url: str) -> AsyncIterator[tuple[Table, Table]]:
    """The same fresh table through the SDK and through the wire."""
    settings = await prepared_settings(aws_url)
    name, url = settings.dynamodb_table_name, settings.dynamodb_endpoint_url
    async with open_dynamodb_client(REGION, url) as client, open_wire(client) as wire:
        yield Table(client, name), Table(wire, name)


async def test_rows_are_the_same_by_either_way(aws_server: str) -> None:
    """What one writes the other reads, bytes and numbers included."""
    async with both_tables(aws_server) as (sdk, wire):
        for writer, reader in ((sdk, wire), (wire, sdk)):
            await writer.write(Put(item=ROW))
            assert await reader.get(KEY) == ROW
            assert await reader.batch_get([KEY, Key("WS#none", "x")]) == {KEY: ROW}
            page = await reader.query(equals("PK", KEY.pk), limit=1)
            assert page.items == (ROW,)
            await writer.delete_many([KEY])
            assert await reader.get(KEY) is None


async def test_failed_conditions_are_the_same_by_either_way(aws_server: str) -> None:
    """The reasons of a refused transaction come through, each at its write's place."""
    async with both_tables(aws_server) as tables:
        for table in tables:
            with pytest.raises(ConditionFailedError) as refused:
                await table.write(Update(key=KEY, set={"name": "x"}, condition=exists()))
            assert refused.value.failed == (0,)
            writes: list[Write] = [
                Put(item=KEY.as_item(), condition=not_exists()),
                Check(key=Key("WS#2", "METADATA"), condition=exists()),
            ]
            with pytest.raises(ConditionFailedError) as refused:
                await table.transact(writes)
            assert refused.value.failed == (1,)


Answers = list[Callable[[Request], Response]]


@asynccontextmanager
async def scripted(answers: Answers) -> AsyncIterator[Wire]:
    """A wire to a server that gives these answers, one after the other."""

    async def answer(request: Request) -> Response:
        return answers.pop(0)(request)

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    async with (
        serving(app) as url,
        open_dynamodb_client(REGION, url) as client,
        open_wire(client) as wire,
    ):
        yield wire


def said(status: int, body: Any, **headers: str) -> Callable[[Request], Response]:
    """An answer of DynamoDB."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return lambda _: Response(content, status, {name.replace("_", "-"): value for name, value in headers.items()})


THROTTLED = said(400, {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"})


@pytest.mark.parametrize(
    "first",
    [
        THROTTLED,
        said(500, b"<html>"),
        said(503, {}),
        said(200, {"Item": {}}, x_amz_crc32="1"),
        said(200, b"<html>"),
    ],
    ids=["throttled", "500", "503", "checksum", "page"],
)
async def test_transient_failure_is_tried_again(first: Callable[[Request], Response]) -> None:
    """A throttled request, a broken server and a broken answer get another try, each recorded."""
    content = b'{"Item":{"PK":{"S":"x"}}}'
    good = said(200, content, x_amz_crc32=str(zlib.crc32(content)))
    async with scripted([first, good]) as wire:
        with recording_calls() as calls:
            assert await wire.call("GetItem", {"TableName": "t"}) == {"Item": {"PK": {"S": "x"}}}
    assert [call.operation for call in calls] == ["GetItem", "GetItem"]


async def test_failure_that_lasts_is_raised_after_three_attempts() -> None:
    """The last attempt's error comes through, by its code and with its class."""
    async with scripted([THROTTLED, THROTTLED, THROTTLED]) as wire:
        with pytest.raises(ClientError) as raised:
            await wire.call("Query", {"TableName": "t"})
    assert type(raised.value).__name__ == "ProvisionedThroughputExceededException"
    assert raised.value.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
    assert raised.value.operation_name == "Query"


async def test_refusal_is_not_tried_again() -> None:
    """What is wrong with the request stays wrong."""
    refused = said(400, {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"})
    async with scripted([refused]) as wire:
        with pytest.raises(ClientError, match=r"\(ValidationException\) when calling the GetItem operation: no"):
            await wire.call("GetItem", {"TableName": "t"})


async def test_broken_answer_is_a_checksum_error() -> None:
    """An answer that is not what was sent is never read."""
    broken = said(200, {"Item": {}}, x_amz_crc32="1")
    async with scripted([broken] * 3) as wire:
        with pytest.raises(ChecksumError):
            await wire.call("GetItem", {"TableName": "t"})


async def test_quota_ends_retries_of_a_broken_dynamodb() -> None:
    """Once the quota is used up each request is sent once; successes fill it up again."""
    requests = 60
    async with scripted([said(400, {"__type": "ThrottlingException"})] * (requests * 3)) as wire:
        wire._quota = 10  # noqa: SLF001  # to spend 500 takes minutes
        with recording_calls() as calls:
            for _ in range(4):
                with pytest.raises(ClientError):
                    await wire.call("GetItem", {"TableName": "t"})
    assert len(calls) == 4 + 2


@pytest.mark.parametrize(("first", "sent"), [(THROTTLED, 2), (said(503, {}), 1)], ids=["throttled", "503"])
async def test_call_that_is_made_once(first: Callable[[Request], Response], sent: int) -> None:
    """Only an answer that says that nothing was done gets another try."""
    async with scripted([first, said(200, {})]) as wire:
        with recording_calls() as calls, contextlib.suppress(ClientError):
            await wire.call("UpdateItem", {"TableName": "t"}, once=True)
    assert len(calls) == sent


async def test_call_that_is_made_once_when_nobody_is_there() -> None:
    """What was never sent is tried again."""
    with listen() as listener:
        url = url_of(listener)
    async with open_dynamodb_client(REGION, url) as client, open_wire(client) as wire:
        with recording_calls() as calls, pytest.raises(aiohttp.ClientConnectorError):
            await wire.call("UpdateItem", {"TableName": "t"}, once=True)
    assert len(calls) == 3


async def test_nobody_there_is_a_client_error() -> None:
    """Nothing listens."""
    with listen() as listener:
        url = url_of(listener)
    async with open_dynamodb_client(REGION, url) as client, open_wire(client) as wire:
        with pytest.raises(aiohttp.ClientConnectionError):
            await wire.call("GetItem", {"TableName": "t"})
