"""Tables of tests' own, through clients that the session shares: opening one takes longer than a test."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.upstream.aws import open_dynamodb_client, open_s3_client
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.builds import BuildTable
from gateway.upstream.dynamo.deployments import DeploymentTable
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable
from gateway.upstream.dynamo.figures import FiguresTable
from gateway.upstream.dynamo.functions import FunctionTable
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.provision import ensure_table
from gateway.upstream.dynamo.reader import RowReader
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import WorkspaceTable
from gateway.upstream.s3 import SourceBucket
from tests.local.builder.stage import REGION

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
        sources = SourceBucket(s3, bucket)
        await sources.ensure(REGION)
        yield AwsClients(dynamodb, s3, sources)


async def fresh_dynamo(client: "DynamoDBClient", clock: "Clock") -> Dynamo:
    """An empty table of a test's own."""
    table = Table(client, f"table-{uuid.uuid4().hex[:12]}")
    await ensure_table(client, table.name)
    pointers = Pointers(table)
    return Dynamo(
        table=table,
        rows=RowReader(table, clock),
        workspaces=WorkspaceTable(table),
        functions=FunctionTable(table, pointers),
        figures=FiguresTable(table, clock),
        execution_logs=ExecutionLogTable(table, clock, 30 * 86_400),
        builds=BuildTable(table, pointers),
        deployments=DeploymentTable(table),
    )
