"""All that is stored: each row of a table and each object of a bucket, to see what is left and what changed."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3

from gateway.settings import Settings
from gateway.upstream.dynamo.attributes import decode_item, encode_item
from tests.aws import REGION

DYNAMODB_URL = "AWS_ENDPOINT_URL_DYNAMODB"
"""The SDKs' own variable; set where DynamoDB is another server than S3."""


@cache
def client(service: str, url: str) -> Any:
    """A boto3 client for `dynamodb` or `s3`."""
    credentials = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
    return boto3.client(service, endpoint_url=url, region_name=REGION, **credentials)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a gateway's table and bucket hold, asked for behind its back."""

    aws_url: str
    settings: Settings

    @property
    def dynamodb(self) -> Any:
        """A client of the table's server."""
        return client("dynamodb", os.environ.get(DYNAMODB_URL, self.aws_url))

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every row of the table, by key."""
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.settings.dynamodb_table_name, ConsistentRead=True
        )
        items = [decode_item(item) for page in pages for item in page["Items"]]
        return {(item["PK"], item["SK"]): item for item in items}

    def objects(self) -> dict[str, str]:
        """Every object of the bucket with the digest of its content."""
        pages = client("s3", self.aws_url).get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.settings.s3_bucket_name)
        return {each["Key"]: each["ETag"] for page in found for each in page.get("Contents", ())}

    def everything(self) -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, str]]:
        """Rows and objects."""
        return self.rows(), self.objects()

    def put_rows(self, items: list[dict[str, Any]]) -> None:
        """Write rows as they are, 25 at a time."""
        table = self.settings.dynamodb_table_name
        for start in range(0, len(items), 25):
            requests = [{"PutRequest": {"Item": encode_item(item)}} for item in items[start : start + 25]]
            answer = self.dynamodb.batch_write_item(RequestItems={table: requests})
            assert not answer["UnprocessedItems"]

    def delete_row(self, pk: str, sk: str) -> None:
        """Remove a row."""
        self.dynamodb.delete_item(
            TableName=self.settings.dynamodb_table_name, Key={"PK": {"S": pk}, "SK": {"S": sk}}
        )

    def put_object(self, key: str, content: bytes) -> None:
        """Write an object."""
        client("s3", self.aws_url).put_object(Bucket=self.settings.s3_bucket_name, Key=key, Body=content)

    def delete_object(self, key: str) -> None:
        """Remove an object."""
        client("s3", self.aws_url).delete_object(Bucket=self.settings.s3_bucket_name, Key=key)

    def get_object(self, key: str) -> bytes:
        """Read an object."""
        answer = client("s3", self.aws_url).get_object(Bucket=self.settings.s3_bucket_name, Key=key)
        content: bytes = answer["Body"].read()
        return content
