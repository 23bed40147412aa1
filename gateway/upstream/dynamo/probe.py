"""What the doctor tries on the table: each kind of request that the gateway sends, on a row of its own."""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.errors import TableNotReadyError
from gateway.records.clock import Clock
from gateway.upstream.dynamo.errors import translated
from gateway.upstream.dynamo.expressions import (
    Check,
    Delete,
    Put,
    Update,
    all_of,
    begins_with,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.keys import ALL_WORKSPACES, INDEX, INDEX_PK, Key
from gateway.upstream.dynamo.provision import TTL_ATTRIBUTE, check_table
from gateway.upstream.dynamo.table import Table

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

PROBE_LIFE = timedelta(hours=1)
"""A row that could not be removed expires."""


class TableProbe:
    """Tries the table out; what does not work is raised as the gateway would meet it."""

    def __init__(self, client: "DynamoDBClient", name: str, clock: Clock) -> None:
        self._client = client
        self._table = Table(client, name)
        self._clock = clock
        self._key = Key(f"DOCTOR#{uuid.uuid4()}", "PROBE")

    async def check_form(self) -> None:
        """The table and its index are there, with the right keys."""
        await check_table(self._client, self._table.name)

    async def check_ttl(self) -> None:
        """Execution logs expire."""
        with translated("DescribeTimeToLive", self._table.name):
            answer = await self._client.describe_time_to_live(TableName=self._table.name)
        description = answer["TimeToLiveDescription"]
        enabled = description.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
        if not enabled or description.get("AttributeName") != TTL_ATTRIBUTE:
            raise TableNotReadyError(f"The rows of {self._table.name} do not expire by {TTL_ATTRIBUTE}.")

    async def read(self) -> None:
        """GetItem, BatchGetItem and Query."""
        await self._table.get(self._key)
        await self._table.batch_get([self._key])
        await self._table.query(all_of(equals("PK", self._key.pk), begins_with("SK", "P")), consistent=True)

    async def read_index(self) -> None:
        """Query of GSI1."""
        await self._table.query(equals(INDEX_PK, ALL_WORKSPACES), index=INDEX, limit=1)

    async def write(self) -> None:
        """PutItem, UpdateItem, a transaction with a check, DeleteItem and BatchWriteItem, on rows of its own."""
        expires = int((self._clock() + PROBE_LIFE).timestamp())
        await self._table.write(Put(item=self._key.as_item() | {TTL_ATTRIBUTE: expires}, condition=not_exists()))
        try:
            await self._table.write(Update(key=self._key, set={"tried": True}, condition=exists()))
            other = Key(self._key.pk, "PROBE#2")
            put = Put(item=other.as_item() | {TTL_ATTRIBUTE: expires}, condition=not_exists())
            await self._table.transact([Check(key=self._key, condition=exists()), put])
            await self._table.delete_many([other])
        finally:
            await self._table.write(Delete(key=self._key))
