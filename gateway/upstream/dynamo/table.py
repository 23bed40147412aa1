"""The one table: DynamoDB's operations on rows as Python values, with its errors translated.

What is missing is None or absent; a condition that does not hold is ConditionFailedError; all else that goes
wrong is a DynamoDBError. The upstream's contract: the DynamoDB API reference, and upstreams.md's measurements.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.errors import DynamoDBError
from gateway.upstream.dynamo.attributes import Item, decode_item
from gateway.upstream.dynamo.errors import TransactionConflictError, translated
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

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

MAX_BATCH_GET_KEYS = 100
"""DynamoDB's limit for one BatchGetItem."""
MAX_BATCH_WRITES = 25
"""DynamoDB's limit for one BatchWriteItem."""
MAX_ATTEMPTS = 8
"""Of a batch with unprocessed keys or a transaction with a conflict: about 5 s of backoff in all."""
BACKOFF_S = 0.02
"""Of the first of these retries; doubled each time, with full jitter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPage:
    """One page of a Query; `last_key` is where the next one starts, None at the end."""

    items: tuple[Item, ...]
    last_key: dict[str, Any] | None


class Table:
    """The table, through the one client of the process."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self.name = name

    async def get(self, key: Key, *, attributes: Iterable[str] = ()) -> Item | None:
        """Read a row, strongly consistent; only `attributes` where some are given."""
        parameters = _projection(attributes)
        with translated("GetItem", key):
            answer = await self._client.get_item(
                TableName=self.name, Key=key.as_attributes(), ConsistentRead=True, **parameters
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
                answer = await self._client.batch_get_item(RequestItems=request)
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
            answer = await self._client.query(TableName=self.name, **parameters, **given.as_parameters())
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
        parameters = write.as_parameters()
        match write:
            case Put():
                with translated("PutItem", Key(write.item["PK"], write.item["SK"])):
                    await self._client.put_item(TableName=self.name, **parameters)
            case Update():
                with translated("UpdateItem", write.key):
                    await self._client.update_item(TableName=self.name, **parameters)
            case Delete():
                with translated("DeleteItem", write.key):
                    await self._client.delete_item(TableName=self.name, **parameters)

    async def transact(self, writes: Sequence[Write]) -> None:
        """All the writes or none; a conflict with another transaction is tried again, as the same request."""
        verbs = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
        items: Any = [{verbs[type(write)]: {"TableName": self.name, **write.as_parameters()}} for write in writes]
        token = str(uuid.uuid4())
        for attempt in range(MAX_ATTEMPTS):
            try:
                with translated("TransactWriteItems", "the table"):
                    await self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)
            except TransactionConflictError:
                await _back_off(attempt)
            else:
                return
        raise DynamoDBError("DynamoDB kept refusing a transaction: others write the same rows.", retryable=True)

    async def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove rows, without a condition, 25 at a time."""
        wanted = list(keys)
        for start in range(0, len(wanted), MAX_BATCH_WRITES):
            chunk = wanted[start : start + MAX_BATCH_WRITES]
            request: Any = {self.name: [{"DeleteRequest": {"Key": key.as_attributes()}} for key in chunk]}
            for attempt in range(MAX_ATTEMPTS):
                with translated("BatchWriteItem", chunk[0]):
                    answer = await self._client.batch_write_item(RequestItems=request)
                request = answer.get("UnprocessedItems")
                if not request:
                    break
                await _back_off(attempt)
            else:
                message = "DynamoDB left rows of a BatchWriteItem unprocessed; it is throttling."
                raise DynamoDBError(message, retryable=True)

    async def delete_range(self, partition: str, prefix: str) -> None:
        """Remove the rows of a partition whose sort key starts with `prefix`."""
        condition = all_of(equals("PK", partition), begins_with("SK", prefix))
        keys: list[Key] = []
        async for item in self.query_all(condition, attributes=("PK", "SK"), consistent=True):
            keys.append(Key(item["PK"], item["SK"]))
            if len(keys) >= MAX_BATCH_WRITES:
                await self.delete_many(keys)
                keys.clear()
        await self.delete_many(keys)

    async def check(self) -> None:
        """Ask DynamoDB whether the table is there and active."""
        with translated("DescribeTable", self.name):
            answer = await self._client.describe_table(TableName=self.name)
        status = answer["Table"]["TableStatus"]
        if status not in {"ACTIVE", "UPDATING"}:
            raise DynamoDBError(f"The table {self.name} is {status}.", retryable=True)


def _projection(attributes: Iterable[str]) -> dict[str, Any]:
    given = Placeholders()
    names = [given.name(attribute) for attribute in attributes]
    return {"ProjectionExpression": ", ".join(names), **given.as_parameters()} if names else {}


async def _back_off(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, BACKOFF_S * 2**attempt))  # noqa: S311  # jitter is no secret
