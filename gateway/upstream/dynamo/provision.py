"""Making the table what the gateway needs: its keys, the index GSI1, and the time to live of execution logs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from gateway.errors import DynamoDBError, TableNotReadyError
from gateway.upstream.dynamo.errors import translated
from gateway.upstream.dynamo.keys import INDEX, INDEX_PK, INDEX_SK

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import (
        AttributeDefinitionTypeDef,
        GlobalSecondaryIndexDescriptionTypeDef,
        GlobalSecondaryIndexTypeDef,
        KeySchemaElementTypeDef,
        TableDescriptionTypeDef,
    )

TTL_ATTRIBUTE = "ttl"
POLL_S = 0.5
"""Between two looks at a table that is being made; it takes AWS some seconds, an index of a large table hours."""
REPORT_INTERVAL_S = 10.0


def _no_report(_: str) -> None:
    """Nobody is waiting for progress."""


async def ensure_table(
    client: "DynamoDBClient", name: str, *, dry_run: bool = False, report: Callable[[str], None] = _no_report
) -> list[str]:
    """Create what is missing of the table; answers what was done, or in a dry run what would be done."""
    done: list[str] = []
    description = await describe_table(client, name)
    if description is None:
        done.append(f"create the table {name} with the index {INDEX}, and the time to live by {TTL_ATTRIBUTE}")
        if not dry_run:
            await _create_table(client, name)
    elif not has_index(description):
        _check_keys(name, description.get("KeySchema", ()), ("PK", "SK"))
        done.append(f"add the index {INDEX} to the table {name}")
        if not dry_run:
            await _add_index(client, name, description)
    else:
        _check_keys(name, description.get("KeySchema", ()), ("PK", "SK"))
    if not dry_run:
        await _wait_until_active(client, name, report)
    if (description is not None or not dry_run) and await _ensure_ttl(client, name, dry_run=dry_run):
        enabled = f"enable the time to live by {TTL_ATTRIBUTE}"
        done += [enabled] if description is not None else []
    return done


async def check_table(client: "DynamoDBClient", name: str) -> None:
    """Raise TableNotReadyError where the table or its index is missing, or still being made."""
    command = "run `blue-gateway migrate`"
    description = await describe_table(client, name)
    if description is None:
        raise TableNotReadyError(f"DYNAMODB_TABLE_NAME: there is no table {name}: {command}, which creates it")
    if not has_index(description):
        raise TableNotReadyError(f"The table {name} has no index {INDEX}: {command}, which adds it")
    _check_keys(name, description.get("KeySchema", ()), ("PK", "SK"))
    state = _index_of(description).get("IndexStatus")
    if state == "CREATING":
        raise TableNotReadyError(f"The index {INDEX} of {name} is still being made: {command}, which waits for it")


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
    return bool(_index_of(description))


def _index_of(description: "TableDescriptionTypeDef") -> "GlobalSecondaryIndexDescriptionTypeDef":
    """GSI1 as it is; empty where there is none. Its keys and its projection are checked."""
    for index in description.get("GlobalSecondaryIndexes", ()):
        if index.get("IndexName") == INDEX:
            _check_keys(INDEX, index.get("KeySchema", ()), (INDEX_PK, INDEX_SK))
            projection = index.get("Projection", {}).get("ProjectionType")
            if projection != "ALL":
                found = (
                    f"The index {INDEX} of {description.get('TableName')} holds {projection} of its rows, not ALL"
                )
                command = "delete it, then run `blue-gateway migrate`, which makes it anew"
                raise TableNotReadyError(f"{found}: {command}")
            return index
    return {}


def _check_keys(name: str, schema: "Sequence[KeySchemaElementTypeDef]", wanted: tuple[str, str]) -> None:
    """Refuse a table or index that is not ours: the name may be that of another's."""
    by_type = {part["KeyType"]: part["AttributeName"] for part in schema}
    found = (by_type.get("HASH"), by_type.get("RANGE"))
    if found != wanted:
        names = " and ".join(str(part) for part in found if part)
        raise TableNotReadyError(
            f"{name} has the keys {names}, not {' and '.join(wanted)}: it is not the gateway's"
        )


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


async def _add_index(client: "DynamoDBClient", name: str, description: "TableDescriptionTypeDef") -> None:
    """Add GSI1 while the table is in use; with provisioned capacity it gets as much as the table has."""
    index: dict[str, Any] = {**_index()}
    capacity = description.get("ProvisionedThroughput", {})
    billing = description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    if billing == "PROVISIONED" and capacity.get("WriteCapacityUnits"):
        index["ProvisionedThroughput"] = {
            "ReadCapacityUnits": capacity.get("ReadCapacityUnits"),
            "WriteCapacityUnits": capacity.get("WriteCapacityUnits"),
        }
    create: Any = {"Create": index}
    with translated("UpdateTable", name):
        await client.update_table(
            TableName=name,
            AttributeDefinitions=_attributes("PK", "SK", INDEX_PK, INDEX_SK),
            GlobalSecondaryIndexUpdates=[create],
        )


async def _wait_until_active(client: "DynamoDBClient", name: str, report: Callable[[str], None]) -> None:
    started = reported = time.monotonic()
    while True:
        description = await describe_table(client, name)
        if description is None:
            raise DynamoDBError(f"The table {name} has gone.")
        index = _index_of(description)
        states = (description["TableStatus"], index.get("IndexStatus"))
        if all(state in {"ACTIVE", None} for state in states):
            return
        if time.monotonic() - reported >= REPORT_INTERVAL_S:
            reported = time.monotonic()
            filling = ", being filled" if index.get("Backfilling") else ""
            counted = f", {index.get('ItemCount', 0):,} rows in it"
            report(
                f"waiting for the table ({states[0]}) and its index ({states[1]}{filling}{counted}), "
                f"{reported - started:.0f} s so far"
            )
        await asyncio.sleep(POLL_S)


async def _ensure_ttl(client: "DynamoDBClient", name: str, *, dry_run: bool) -> bool:
    """Enable the time to live where it is not; answers whether it was missing."""
    with translated("DescribeTimeToLive", name):
        answer = await client.describe_time_to_live(TableName=name)
    description = answer["TimeToLiveDescription"]
    if description.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        attribute = description.get("AttributeName")
        if attribute != TTL_ATTRIBUTE:
            message = f"The rows of {name} expire by {attribute}, not by {TTL_ATTRIBUTE}: change that first"
            raise TableNotReadyError(message)
        return False
    if not dry_run:
        with translated("UpdateTimeToLive", name):
            await client.update_time_to_live(
                TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
            )
    return True
