"""The one table: DynamoDB's operations on rows as Python values, with its errors translated.

What is missing is None or absent; a condition that does not hold is ConditionFailedError; all else that goes
wrong is a DynamoDBError. The upstream's contract: the DynamoDB API reference, and upstreams.md's measurements.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from botocore import xform_name

from gateway.errors import DynamoDBError
from gateway.upstream.dynamo.attributes import Item, decode_item
from gateway.upstream.dynamo.errors import RowsBusyError, translated
from gateway.upstream.dynamo.expressions import (
    Check,
    Condition,
    Delete,
    Placeholders,
    Put,
    Update,
    Write,
    all_of,
    begins_with,
    equals,
)
from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.wire import Wire

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

MAX_BATCH_GET_KEYS = 100
"""DynamoDB's limit for one BatchGetItem."""
MAX_BATCH_WRITES = 25
"""DynamoDB's limit for one BatchWriteItem."""
MAX_ATTEMPTS = 8
"""Of a batch with unprocessed keys or a write whose rows are busy: about 5 s of backoff in all."""
BACKOFF_S = 0.02
"""Of the first of these retries; doubled each time, with full jitter."""


class Call(Protocol):
    """Sends an operation such as `GetItem` and answers what it answers; `once` is Wire's."""

    def __call__(self, operation: str, request: Mapping[str, Any], *, once: bool = False) -> Awaitable[Any]:
        """Raise the SDK's errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPage:
    """One page of a Query; `last_key` is where the next one starts, None at the end."""

    items: tuple[Item, ...]
    last_key: dict[str, Any] | None


class Table:
    """The table, through the one wire of the process; commands that run once make do with the SDK's client."""

    def __init__(self, client: "Wire | DynamoDBClient", name: str) -> None:
        self._call: Call = client.call if isinstance(client, Wire) else partial(_call_sdk, client)
        self.name = name

    async def get(self, key: Key, *, attributes: Iterable[str] = ()) -> Item | None:
        """Read a row, strongly consistent; only `attributes` where some are given."""
        parameters = _projection(attributes)
        with translated("GetItem", key):
            answer = await self._call(
                "GetItem",
                {"TableName": self.name, "Key": key.as_attributes(), "ConsistentRead": True, **parameters},
            )
        return decode_item(answer["Item"]) if "Item" in answer else None

    async def batch_get(self, keys: Iterable[Key], *, attributes: Iterable[str] = ()) -> dict[Key, Item]:
        """Read rows, strongly consistent, in chunks of 100 at once; missing ones are absent."""
        unique = list(dict.fromkeys(keys))
        chunks = [unique[i : i + MAX_BATCH_GET_KEYS] for i in range(0, len(unique), MAX_BATCH_GET_KEYS)]
        parameters = _projection({"PK", "SK", *attributes} if attributes else ())
        found: dict[Key, Item] = {}
        for part in await asyncio.gather(*(self._get_chunk(chunk, parameters) for chunk in chunks)):
            found.update(part)
        return found

    async def _get_chunk(self, keys: list[Key], parameters: Mapping[str, Any]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        request: Any = {
            self.name: {"Keys": [key.as_attributes() for key in keys], "ConsistentRead": True, **parameters}
        }
        for attempt in range(MAX_ATTEMPTS):
            with translated("BatchGetItem", keys[0]):
                answer = await self._call("BatchGetItem", {"RequestItems": request})
            for raw in answer["Responses"].get(self.name, ()):
                item = decode_item(raw)
                found[Key(item["PK"], item["SK"])] = item
            request = answer.get("UnprocessedKeys")
            if not request:
                return found
            await _back_off(attempt)
        raise DynamoDBError("DynamoDB left keys of a BatchGetItem unprocessed; it is throttling.", retryable=True)

    async def query(
        self,
        condition: Condition,
        *,
        index: str | None = None,
        forward: bool = True,
        limit: int | None = None,
        start_key: Mapping[str, Any] | None = None,
        filter_by: Condition | None = None,
        attributes: Iterable[str] = (),
        consistent: bool = False,
    ) -> QueryPage:
        """One Query: at most 1 MB, so that fewer than `limit` rows can come with more to follow."""
        given = Placeholders()
        parameters: dict[str, Any] = {"KeyConditionExpression": condition(given), "ScanIndexForward": forward}
        if index is not None:
            parameters["IndexName"] = index
        if limit is not None:
            parameters["Limit"] = limit
        if start_key is not None:
            parameters["ExclusiveStartKey"] = start_key
        if filter_by is not None:
            parameters["FilterExpression"] = filter_by(given)
        if consistent:
            parameters["ConsistentRead"] = True
        names = [given.name(attribute) for attribute in attributes]
        if names:
            parameters["ProjectionExpression"] = ", ".join(names)
        with translated("Query", index or "the table"):
            request = {"TableName": self.name, **parameters, **given.as_parameters()}
            answer = await self._call("Query", request)
        items = tuple(decode_item(raw) for raw in answer["Items"])
        return QueryPage(items=items, last_key=answer.get("LastEvaluatedKey"))

    async def query_all(self, condition: Condition, **options: Any) -> AsyncIterator[Item]:
        """Every row of a Query, page after page."""
        start_key: Mapping[str, Any] | None = None
        while True:
            page = await self.query(condition, start_key=start_key, **options)
            for item in page.items:
                yield item
            if page.last_key is None:
                return
            start_key = page.last_key

    async def write(self, write: Put | Update | Delete) -> None:
        """One conditional write."""
        parameters = {"TableName": self.name, **write.as_parameters()}
        match write:
            case Put():
                await self._write("PutItem", Key(write.item["PK"], write.item["SK"]), parameters)
            case Update():
                await self._write("UpdateItem", write.key, parameters, once=write.once)
            case Delete():
                await self._write("DeleteItem", write.key, parameters)

    async def transact(self, writes: Sequence[Write]) -> None:
        """All the writes or none."""
        verbs = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
        items = [{verbs[type(write)]: {"TableName": self.name, **write.as_parameters()}} for write in writes]
        parameters = {"TransactItems": items, "ClientRequestToken": str(uuid.uuid4())}
        await self._write("TransactWriteItems", "the table", parameters)

    async def _write(
        self, operation: str, target: object, parameters: dict[str, Any], *, once: bool = False
    ) -> Any:
        """One request; the same again while its rows are busy."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                with translated(operation, target):
                    return await self._call(operation, parameters, once=once)
            except RowsBusyError:
                await _back_off(attempt)
        message = f"DynamoDB kept refusing {operation} on {target}: too many write at once."
        raise DynamoDBError(message, retryable=True)

    async def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove rows, without a condition, 25 at a time."""
        wanted = list(keys)
        for start in range(0, len(wanted), MAX_BATCH_WRITES):
            chunk = wanted[start : start + MAX_BATCH_WRITES]
            request: Any = {self.name: [{"DeleteRequest": {"Key": key.as_attributes()}} for key in chunk]}
            for attempt in range(MAX_ATTEMPTS):
                answer = await self._write("BatchWriteItem", chunk[0], {"RequestItems": request})
                request = answer.get("UnprocessedItems")
                if not request:
                    break
                await _back_off(attempt)
            else:
                message = "DynamoDB left rows of a BatchWriteItem unprocessed; it is throttling."
                raise DynamoDBError(message, retryable=True)

    async def delete_range(self, partition: str, prefix: str = "", *, keep: Sequence[str] = ()) -> None:
        """Remove the rows of a partition whose sort key starts with `prefix`, but for the sort keys to `keep`."""
        mine = equals("PK", partition)
        condition = all_of(mine, begins_with("SK", prefix)) if prefix else mine
        keys: list[Key] = []
        async for item in self.query_all(condition, attributes=("PK", "SK"), consistent=True):
            if item["SK"] not in keep:
                keys.append(Key(item["PK"], item["SK"]))
            if len(keys) >= MAX_BATCH_WRITES:
                await self.delete_many(keys)
                keys.clear()
        await self.delete_many(keys)

    async def check(self) -> None:
        """Ask DynamoDB whether the table is there and active."""
        with translated("DescribeTable", self.name):
            answer = await self._call("DescribeTable", {"TableName": self.name})
        status = answer["Table"]["TableStatus"]
        if status not in {"ACTIVE", "UPDATING"}:
            raise DynamoDBError(f"The table {self.name} is {status}.", retryable=True)


async def _call_sdk(
    client: "DynamoDBClient", operation: str, request: Mapping[str, Any], *, once: bool = False
) -> Any:
    assert not once, "the SDK repeats what it sends"  # noqa: S101  # commands that run once count nothing up
    return await getattr(client, xform_name(operation))(**request)


def _projection(attributes: Iterable[str]) -> dict[str, Any]:
    given = Placeholders()
    names = [given.name(attribute) for attribute in attributes]
    return {"ProjectionExpression": ", ".join(names), **given.as_parameters()} if names else {}


async def _back_off(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, BACKOFF_S * 2**attempt))  # noqa: S311  # jitter is no secret
