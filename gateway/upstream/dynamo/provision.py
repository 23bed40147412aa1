"""Making the table what the gateway needs: its keys, the index GSI1, and the time to live of execution logs."""

import asyncio
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from gateway.errors import DynamoDBError
from gateway.upstream.dynamo.errors import translated
from gateway.upstream.dynamo.keys import INDEX, INDEX_PK, INDEX_SK

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        GlobalSecondaryIndexTypeDef,
        TableDescriptionTypeDef,
    )

TTL_ATTRIBUTE = "ttl"
POLL_S = 0.5
"""Between two looks at a table that is being made; it takes AWS some seconds."""


async def ensure_table(client: "DynamoDBClient", name: str) -> list[str]:
    """Create what is missing of the table; answers what was done, a sentence each."""
    done: list[str] = []
    description = await describe_table(client, name)
    if description is None:
        await _create_table(client, name)
        done.append(f"created the table {name} with the index {INDEX}")
    elif not has_index(description):
        await _add_index(client, name)
        done.append(f"added the index {INDEX} to the table {name}")
    await _wait_until_active(client, name)
    if await _ensure_ttl(client, name):
        done.append(f"enabled the time to live by {TTL_ATTRIBUTE}")
    return done


async def describe_table(client: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef | None":
    """The table as it is; None where there is none."""
    with translated("DescribeTable", name):
        try:
            return (await client.describe_table(TableName=name))["Table"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                return None
            raise


def has_index(description: "TableDescriptionTypeDef") -> bool:
    """Whether the table has GSI1."""
    return any(index.get("IndexName") == INDEX for index in description.get("GlobalSecondaryIndexes", ()))


def _attributes(*names: str) -> "list[AttributeDefinitionTypeDef]":
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def _index() -> "GlobalSecondaryIndexTypeDef":
    return {
        "IndexName": INDEX,
        "KeySchema": [
            {"AttributeName": INDEX_PK, "KeyType": "HASH"},
            {"AttributeName": INDEX_SK, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }


async def _create_table(client: "DynamoDBClient", name: str) -> None:
    with translated("CreateTable", name):
        await client.create_table(
            TableName=name,
            AttributeDefinitions=_attributes("PK", "SK", INDEX_PK, INDEX_SK),
            KeySchema=[
                {"AttributeName": "PK", "KeyType": "HASH"},
                {"AttributeName": "SK", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[_index()],
            BillingMode="PAY_PER_REQUEST",
        )


async def _add_index(client: "DynamoDBClient", name: str) -> None:
    with translated("UpdateTable", name):
        await client.update_table(
            TableName=name,
            AttributeDefinitions=_attributes("PK", "SK", INDEX_PK, INDEX_SK),
            GlobalSecondaryIndexUpdates=[{"Create": _index()}],
        )


async def _wait_until_active(client: "DynamoDBClient", name: str) -> None:
    while True:
        description = await describe_table(client, name)
        if description is None:
            raise DynamoDBError(f"The table {name} has gone.")
        statuses = [index.get("IndexStatus") for index in description.get("GlobalSecondaryIndexes", ())]
        if all(status in {"ACTIVE", None} for status in (description["TableStatus"], *statuses)):
            return
        await asyncio.sleep(POLL_S)


async def _ensure_ttl(client: "DynamoDBClient", name: str) -> bool:
    with translated("DescribeTimeToLive", name):
        answer = await client.describe_time_to_live(TableName=name)
    if answer["TimeToLiveDescription"].get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        return False
    with translated("UpdateTimeToLive", name):
        await client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        )
    return True
