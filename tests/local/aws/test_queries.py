"""Queries of the AWS stand-in against a plain computation: the narrowed way answers what the whole table would."""

import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws import create_platform_table

Row = dict[str, dict[str, str]]

ROWS: list[Row] = [
    {
        "PK": {"S": f"P{number % 3}"},
        "SK": {"S": f"{'LOG' if number % 2 else 'FN'}#{number * 7 % 80:02d}"},
        # Several rows share a GSI1SK, some are not in the index, and some have half a key.
        **({"GSI1PK": {"S": f"G{number % 2}"}} if number % 5 else {}),
        **({"GSI1SK": {"S": f"{number // 4:02d}"}} if number % 7 else {}),
        "n": {"N": str(number)},
        "padding": {"S": "x" * 20_000 if number % 3 == 0 else ""},
    }
    for number in range(240)
]


@pytest.fixture(scope="module")
def source(aws_server: str) -> Iterator[tuple[Any, str, list[Row]]]:
    """Client, table name and what the table holds."""
    client = boto3.client("dynamodb", endpoint_url=aws_server)
    name = f"t-{uuid.uuid4().hex[:12]}"
    create_platform_table(client, name)
    held: dict[tuple[str, str], Row] = {}
    for row in ROWS:
        client.put_item(TableName=name, Item=row)
        held[row["PK"]["S"], row["SK"]["S"]] = row
    yield client, name, list(held.values())
    client.delete_table(TableName=name)


def expected(rows: list[Row], partition: tuple[str, str], sort: str, keep: Any, *, forward: bool) -> list[Row]:
    """The rows of a partition in order, without the help of an index."""
    name, value = partition
    found = [row for row in rows if row.get(name) == {"S": value} and sort in row and keep(row[sort]["S"])]
    return sorted(found, key=lambda r: (r[sort]["S"], r["PK"]["S"], r["SK"]["S"]), reverse=not forward)


def pages(client: Any, **query: Any) -> tuple[list[Row], int]:
    """All rows of a Query, page by page, and the number of pages."""
    rows: list[Row] = []
    for number in range(1, 1000):
        answer = client.query(**query)
        rows += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return rows, number
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    raise AssertionError("the pages never end")


CONDITIONS: list[tuple[str, dict[str, str], Any]] = [
    ("", {}, lambda _: True),
    (" AND {} = :a", {":a": "FN#14"}, lambda s: s == "FN#14"),
    (" AND begins_with({}, :a)", {":a": "LOG#1"}, lambda s: s.startswith("LOG#1")),
    (" AND {} BETWEEN :a AND :b", {":a": "FN#20", ":b": "LOG#05"}, lambda s: "FN#20" <= s <= "LOG#05"),
    (" AND {} < :a", {":a": "FN#20"}, lambda s: s < "FN#20"),
    (" AND {} <= :a", {":a": "FN#20"}, lambda s: s <= "FN#20"),
    (" AND {} > :a", {":a": "LOG#33"}, lambda s: s > "LOG#33"),
    (" AND {} >= :a", {":a": "LOG#33"}, lambda s: s >= "LOG#33"),
]


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [None, 1, 7])
@pytest.mark.parametrize(("condition", "values", "keep"), CONDITIONS)
def test_query_of_the_table(
    source: Any, condition: str, values: dict[str, str], keep: Any, limit: int | None, *, forward: bool
) -> None:
    """Every comparison of a sort key, both directions, in pages of every size."""
    client, table, rows = source
    found, _ = pages(
        client,
        TableName=table,
        KeyConditionExpression="PK = :p" + condition.format("SK"),
        ExpressionAttributeValues={":p": {"S": "P0"}, **{name: {"S": value} for name, value in values.items()}},
        ScanIndexForward=forward,
        **({"Limit": limit} if limit else {}),
    )
    assert found == expected(rows, ("PK", "P0"), "SK", keep, forward=forward)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [None, 1, 7])
@pytest.mark.parametrize(
    ("condition", "values", "keep"),
    [
        ("", {}, lambda _: True),
        (" AND begins_with(GSI1SK, :a)", {":a": "1"}, lambda s: s.startswith("1")),
        (" AND GSI1SK BETWEEN :a AND :b", {":a": "05", ":b": "30"}, lambda s: "05" <= s <= "30"),
    ],
)
def test_query_of_the_index(
    source: Any, condition: str, values: dict[str, str], keep: Any, limit: int | None, *, forward: bool
) -> None:
    """Rows without a whole index key are absent, and equal sort keys keep their order over pages."""
    client, table, rows = source
    found, _ = pages(
        client,
        TableName=table,
        IndexName="GSI1",
        KeyConditionExpression="GSI1PK = :p" + condition,
        ExpressionAttributeValues={":p": {"S": "G1"}, **{name: {"S": value} for name, value in values.items()}},
        ScanIndexForward=forward,
        **({"Limit": limit} if limit else {}),
    )
    assert found == expected(rows, ("GSI1PK", "G1"), "GSI1SK", keep, forward=forward)


def test_page_ends_at_one_megabyte(source: Any) -> None:
    """80 rows of 20 KB in a partition are two pages without any limit, before filter and projection."""
    client, table, rows = source
    query = {
        "TableName": table,
        "KeyConditionExpression": "PK = :p",
        "ExpressionAttributeValues": {":p": {"S": "P0"}, ":n": {"N": "100"}},
        "FilterExpression": "n < :n",
        "ProjectionExpression": "SK, n",
    }
    found, count = pages(client, **query)
    large = [row for row in rows if row["PK"] == {"S": "P0"}]
    assert count == -(-len(large) * 20_030 // 1_000_000)
    kept = sorted((row for row in large if int(row["n"]["N"]) < 100), key=lambda row: row["SK"]["S"])
    assert found == [{"SK": row["SK"], "n": row["n"]} for row in kept]


def test_projection_of_nested_and_absent_names(aws_server: str) -> None:
    """Top-level names, a path into a map, and a name that no row has."""
    client = boto3.client("dynamodb", endpoint_url=aws_server)
    table = f"t-{uuid.uuid4().hex[:12]}"
    create_platform_table(client, table)
    key = {"PK": {"S": "a"}, "SK": {"S": "b"}}
    nested = {"M": {"x": {"N": "1"}, "y": {"B": b"\x00"}}}
    client.put_item(TableName=table, Item=key | {"m": nested, "b": {"B": b"\x01\xff"}, "e": {"S": ""}})
    for expression, answer in (
        ("m, b, e, absent", {"m": nested, "b": {"B": b"\x01\xff"}, "e": {"S": ""}}),
        ("m.x, PK", {"m": {"M": {"x": {"N": "1"}}}, "PK": {"S": "a"}}),
        ("absent", {}),
    ):
        assert client.get_item(TableName=table, Key=key, ProjectionExpression=expression).get("Item", {}) == answer


@pytest.mark.parametrize("limit", [None, 1, 7, 239, 240, 1000])
def test_scan_of_the_table(source: Any, limit: int | None) -> None:
    """Every row once, in pages of every size, whatever their partitions; a projection leaves the keys."""
    client, table, rows = source
    scan: dict[str, Any] = {"TableName": table} | ({} if limit is None else {"Limit": limit})
    found: list[Row] = []
    while True:
        answer = client.scan(**scan)
        assert limit is None or len(answer["Items"]) <= limit
        found += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            break
        scan["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
    assert found == sorted(rows, key=lambda row: (row["PK"]["S"], row["SK"]["S"]))


def test_scan_with_a_filter_or_in_segments(source: Any) -> None:
    """A filter sees every row of its page; segments, which go moto's own way, share the rows out."""
    client, table, rows = source
    condition = {"FilterExpression": "n = :n", "ExpressionAttributeValues": {":n": {"N": "200"}}}
    pages = client.get_paginator("scan").paginate(TableName=table, **condition)
    wanted = [row for row in rows if row["n"] == {"N": "200"}]
    assert [item for page in pages for item in page["Items"]] == wanted
    segments = [
        client.get_paginator("scan").paginate(TableName=table, Segment=number, TotalSegments=2)
        for number in range(2)
    ]
    found = [item["n"]["N"] for segment in segments for page in segment for item in page["Items"]]
    assert sorted(found) == sorted(row["n"]["N"] for row in rows)


def test_scan_goes_on_behind_a_row_that_was_deleted(aws_server: str) -> None:
    """The start key need not be there any more, nor its whole partition."""
    client = boto3.client("dynamodb", endpoint_url=aws_server)
    name = f"t-{uuid.uuid4().hex[:12]}"
    create_platform_table(client, name)
    keys = [{"PK": {"S": pk}, "SK": {"S": sk}} for pk in "abc" for sk in "12"]
    for key in keys:
        client.put_item(TableName=name, Item=key)
    start = client.scan(TableName=name, Limit=3)["LastEvaluatedKey"]
    assert start == keys[2]
    client.delete_item(TableName=name, Key=keys[2])
    assert client.scan(TableName=name, ExclusiveStartKey=start)["Items"] == keys[3:]
    client.delete_item(TableName=name, Key=keys[3])
    assert client.scan(TableName=name, ExclusiveStartKey=start)["Items"] == keys[4:]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("REMOVE a, b, a", "Two document paths overlap with each other"),
        ("ADD a :one REMOVE b, a", "Two document paths overlap with each other"),
        ("REMOVE a REMOVE b", 'The "REMOVE" section can only be used once'),
    ],
)
def test_updates_that_contradict_themselves_are_refused(aws_server: str, expression: str, reason: str) -> None:
    """An update is checked as a whole, however far apart the two places are."""
    dynamodb = boto3.client("dynamodb", endpoint_url=aws_server)
    name = f"t-{uuid.uuid4().hex[:12]}"
    create_platform_table(dynamodb, name)
    values = {"ExpressionAttributeValues": {":one": {"N": "1"}}} if ":one" in expression else {}
    with pytest.raises(ClientError, match=reason):
        dynamodb.update_item(
            TableName=name, Key={"PK": {"S": "a"}, "SK": {"S": "b"}}, UpdateExpression=expression, **values
        )
