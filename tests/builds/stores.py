"""Tables of tests' own, through clients that the session shares: opening one takes longer than a test."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.upstream.aws import open_dynamodb_client, open_s3_client
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.table import Table
from gateway.upstream.s3 import SourceBucket
from tests.aws import REGION, create_platform_table
from tests.contents import client

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_s3.client import S3Client

    from gateway.records.clock import Clock


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients of the session, which take longer to open than a test to run, and a bucket."""

    dynamodb: "DynamoDBClient"
    s3: "S3Client"
    sources: SourceBucket


@asynccontextmanager
async def aws_clients(aws_url: str) -> AsyncIterator[AwsClients]:
    """Open them."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    async with (
        open_dynamodb_client(REGION, aws_url) as dynamodb,
        open_s3_client(REGION, aws_url) as s3,
    ):
        region = {"LocationConstraint": REGION}
        client("s3", aws_url).create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        yield AwsClients(dynamodb, s3, SourceBucket(s3, bucket))


async def fresh_dynamo(dynamodb: "DynamoDBClient", clock: "Clock") -> Dynamo:
    """An empty table of a test's own."""
    table = Table(dynamodb, f"table-{uuid.uuid4().hex[:12]}")
    create_platform_table(client("dynamodb", dynamodb.meta.endpoint_url), table.name)
    return Dynamo.on(table, 30, clock)
