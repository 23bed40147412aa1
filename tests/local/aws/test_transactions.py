"""Transactions of the AWS stand-in, through boto3: all or nothing, with DynamoDB's own reasons."""

import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws import create_platform_table

KEY = {"PK": {"S": "WS#1"}, "SK": {"S": "METADATA"}}
OTHER = {"PK": {"S": "WS#1"}, "SK": {"S": "FN#1"}}


@pytest.fixture
def dynamodb(aws_server: str) -> Any:
    """A client of the session's server."""
    return boto3.client("dynamodb", endpoint_url=aws_server)


@pytest.fixture
def table(dynamodb: Any) -> str:
    """A table of the test's own."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    create_platform_table(dynamodb, name)
    return name


def put(table: str, item: dict[str, Any], **others: Any) -> dict[str, Any]:
    """A Put that never overwrites."""
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(PK)", **others}}


def add(table: str, key: dict[str, Any], **others: Any) -> dict[str, Any]:
    """An Update that counts one up."""
    values = {":one": {"N": "1"}}
    update = {"UpdateExpression": "ADD n :one", "ExpressionAttributeValues": values}
    return {"Update": {"TableName": table, "Key": key, **update, **others}}


def items(dynamodb: Any, table: str) -> list[Any]:
    """Everything in the table, by key."""
    return sorted(dynamodb.scan(TableName=table)["Items"], key=lambda item: item["SK"]["S"])


def test_failed_transaction_changes_nothing(dynamodb: Any, table: str) -> None:
    """A put, an update in place, an update that creates and a deletion are all undone, nested values included."""
    old = KEY | {"n": {"N": "1"}, "map": {"M": {"a": {"S": "1"}}}}
    dynamodb.put_item(TableName=table, Item=old)
    dynamodb.put_item(TableName=table, Item=OTHER)
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(
            TransactItems=[
                add(
                    table,
                    KEY,
                    UpdateExpression="ADD n :one SET #m.a = :one",
                    ExpressionAttributeNames={"#m": "map"},
                ),
                put(table, {"PK": {"S": "new"}, "SK": {"S": "new"}}),
                add(table, {"PK": {"S": "created"}, "SK": {"S": "created"}}),
                {"Delete": {"TableName": table, "Key": OTHER}},
                {
                    "ConditionCheck": {
                        "TableName": table,
                        "Key": {"PK": {"S": "no"}, "SK": {"S": "no"}},
                        "ConditionExpression": "attribute_exists(PK)",
                    }
                },
            ]
        )
    assert raised.value.response["Error"]["Code"] == "TransactionCanceledException"
    reasons = raised.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None"] * 4 + ["ConditionalCheckFailed"]
    assert items(dynamodb, table) == [OTHER, old]


def test_cancellation_reason_carries_the_item(dynamodb: Any, table: str) -> None:
    """ALL_OLD answers what stood in the way."""
    dynamodb.put_item(TableName=table, Item=KEY | {"by": {"S": "me"}})
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(
            TransactItems=[put(table, KEY, ReturnValuesOnConditionCheckFailure="ALL_OLD"), put(table, OTHER)]
        )
    first, second = raised.value.response["CancellationReasons"]
    assert first == {
        "Code": "ConditionalCheckFailed",
        "Message": "The conditional request failed",
        "Item": KEY | {"by": {"S": "me"}},
    }
    assert second == {"Code": "None"}
    assert items(dynamodb, table) == [KEY | {"by": {"S": "me"}}]


def test_successful_transaction_is_seen_in_table_and_index(dynamodb: Any, table: str) -> None:
    """What was written together is found by key and through GSI1, and moves within it."""
    indexed = KEY | {"GSI1PK": {"S": "ACTIVE"}, "GSI1SK": {"S": "1"}}
    dynamodb.transact_write_items(TransactItems=[put(table, indexed), put(table, OTHER)])
    query = {
        "TableName": table,
        "IndexName": "GSI1",
        "KeyConditionExpression": "GSI1PK = :p",
        "ExpressionAttributeValues": {":p": {"S": "ACTIVE"}},
    }
    assert dynamodb.query(**query)["Items"] == [indexed]
    dynamodb.update_item(TableName=table, Key=KEY, UpdateExpression="REMOVE GSI1PK, GSI1SK")
    assert dynamodb.query(**query)["Items"] == []
    moved = OTHER | {"GSI1PK": {"S": "ACTIVE"}, "GSI1SK": {"S": "2"}}
    dynamodb.put_item(TableName=table, Item=moved)
    assert dynamodb.query(**query)["Items"] == [moved]
    dynamodb.delete_item(TableName=table, Key=OTHER)
    assert dynamodb.query(**query)["Items"] == []


def test_token_makes_a_repetition_harmless(dynamodb: Any, table: str) -> None:
    """The same request under the same token counts once; another one under it is refused."""
    for _ in range(2):
        dynamodb.transact_write_items(TransactItems=[add(table, KEY)], ClientRequestToken=table)
    assert items(dynamodb, table) == [KEY | {"n": {"N": "1"}}]
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(TransactItems=[add(table, OTHER)], ClientRequestToken=table)
    assert raised.value.response["Error"]["Code"] == "IdempotentParameterMismatchException"
    assert items(dynamodb, table) == [KEY | {"n": {"N": "1"}}]


def test_token_of_a_failed_transaction_can_be_used_again(dynamodb: Any, table: str) -> None:
    """A cancelled transaction leaves its token free."""
    dynamodb.put_item(TableName=table, Item=KEY)
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=[put(table, KEY)], ClientRequestToken=table)
    dynamodb.delete_item(TableName=table, Key=KEY)
    dynamodb.transact_write_items(TransactItems=[put(table, KEY)], ClientRequestToken=table)
    assert items(dynamodb, table) == [KEY]


def test_two_operations_on_one_item_are_refused(dynamodb: Any, table: str) -> None:
    """DynamoDB's rule: ValidationException, and nothing is written."""
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(TransactItems=[add(table, KEY), add(table, KEY)])
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert items(dynamodb, table) == []


def test_refused_update_leaves_no_empty_item(dynamodb: Any, table: str) -> None:
    """An update that can't be carried out on a new item does not leave its key behind."""
    with pytest.raises(ClientError):
        dynamodb.update_item(
            TableName=table,
            Key=KEY,
            UpdateExpression="SET a.b.c = :v",
            ExpressionAttributeValues={":v": {"S": "x"}},
        )
    assert items(dynamodb, table) == []
