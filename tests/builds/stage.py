"""What the builds' tests stand on: the gateway's parts around a builder, with a clock that the test moves."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError

from gateway.builds.carrier import BuildCarrier
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.feed import BuildFeed
from gateway.builds.journal import BuildJournal
from gateway.builds.pipeline import DeployPipeline
from gateway.builds.poller import BuildPoller
from gateway.records.builds import BuildRecord
from gateway.records.functions import FunctionRecord
from gateway.services.deployments import DeploymentService
from gateway.services.ids import new_workspace_id
from gateway.services.starts import BuildStartService
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.builds import BuildTable
from gateway.upstream.dynamo.deployments import DeploymentTable
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable
from gateway.upstream.dynamo.expressions import Condition, equals
from gateway.upstream.dynamo.figures import FiguresTable
from gateway.upstream.dynamo.functions import FunctionTable
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.provision import ensure_table
from gateway.upstream.dynamo.reader import RowReader
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import WorkspaceTable
from gateway.upstream.http import open_http_client
from gateway.upstream.s3 import SourceBucket, open_source_bucket
from tests.builds.samples import SOURCE, START, a_function, a_workspace
from tests.local.builder.stage import REGION
from tests.stores import StoppedClock

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_s3.client import S3Client

    from gateway.records.clock import Clock


@dataclass(kw_only=True)
class Stage:
    """The parts of the gateway that builds go through, with a clock that the test moves."""

    clock: StoppedClock
    dynamo: Dynamo
    sources: SourceBucket
    builder: Builder
    feed: BuildFeed
    journal: BuildJournal
    poller: BuildPoller
    starts: BuildStartService
    deployments: DeploymentService
    endpoints: EndpointSearch
    workspace_id: str

    @property
    def s3(self) -> "S3Client":
        """The bucket's client, for what only tests look at."""
        return self.sources._client  # noqa: SLF001  # the one client of the session

    async def round(self) -> None:
        """One round of the poller, to its end."""
        async with asyncio.TaskGroup() as group:
            self.poller.tick(group)

    async def rounds(self, count: int, *, seconds: float = 6) -> None:
        """Rounds with time in between: more than the interval, less than any backoff."""
        for _ in range(count):
            await self.round()
            self.clock.advance(seconds=seconds)

    async def build(self, build_id: str) -> BuildRecord:
        """A build as it is stored."""
        found = await self.dynamo.builds.get(build_id)
        assert found is not None
        return found

    async def function(self, function_id: str) -> FunctionRecord:
        """A function as it is stored."""
        found = await self.dynamo.functions.get(function_id)
        assert found is not None
        return found

    @property
    def everything(self) -> Condition:
        """All rows of the workspace."""
        return equals("PK", f"WS#{self.workspace_id}")

    async def keys(self, prefix: str) -> list[str]:
        """What is in the bucket."""
        answer = await self.s3.list_objects_v2(Bucket=self.sources.name, Prefix=prefix)
        return [found["Key"] for found in answer.get("Contents", ())]

    async def read_object(self, key: str) -> bytes:
        """An object of the bucket."""
        answer = await self.s3.get_object(Bucket=self.sources.name, Key=key)
        return await answer["Body"].read()

    @contextmanager
    def unwritable_builds(self) -> Iterator[None]:
        """Within the block builds' rows can be made and read, but not be changed."""
        events = self.dynamo.table._client.meta.events  # noqa: SLF001  # the SDK's own seam: its events

        def refuse(**_: object) -> None:
            raise BotoCoreError

        events.register("before-send.dynamodb.UpdateItem", refuse)
        try:
            yield
        finally:
            events.unregister("before-send.dynamodb.UpdateItem", refuse)

    async def create_function(self, **changes: Any) -> FunctionRecord:
        """A function with a source."""
        function = replace(a_function(self.workspace_id, self.clock()), **changes)
        await self.sources.write_source(self.workspace_id, function.id, SOURCE)
        await self.dynamo.functions.create(function, SOURCE)
        return function


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients of the session, which take longer to open than a test to run, and a bucket."""

    dynamodb: "DynamoDBClient"
    sources: SourceBucket


@asynccontextmanager
async def aws_clients(aws_url: str) -> AsyncIterator[AwsClients]:
    """Open them."""
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    async with (
        open_dynamodb_client(REGION, aws_url) as dynamodb,
        open_source_bucket(region=REGION, endpoint_url=aws_url, name=bucket) as sources,
    ):
        await sources.ensure(REGION)
        yield AwsClients(dynamodb, sources)


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


@asynccontextmanager
async def staged(aws: AwsClients, builder_url: str, **options: Any) -> AsyncIterator[Stage]:
    """Open a stage on a fresh table, with one workspace in it."""
    clock = StoppedClock(START)
    dynamo = await fresh_dynamo(aws.dynamodb, clock)
    async with open_http_client("builder", builder_url) as client:
        stage = _assemble(clock, dynamo, aws.sources, Builder(client), **options)
        await dynamo.workspaces.create(a_workspace(stage.workspace_id, clock()))
        yield stage


def _assemble(
    clock: StoppedClock,
    dynamo: Dynamo,
    sources: SourceBucket,
    builder: Builder,
    *,
    registry_url: str | None = None,
) -> Stage:
    feed = BuildFeed(dynamo.builds)
    journal = BuildJournal(dynamo.builds, feed, owner="replica-1", lease_s=15, clock=clock)
    pipeline = DeployPipeline(
        builder=builder,
        journal=journal,
        get_function=dynamo.functions.get,
        read_source=sources.read_source,
        registry_url=registry_url,
        clock=clock,
    )
    carrier = BuildCarrier(
        builds=dynamo.builds, builder=builder, journal=journal, pipeline=pipeline, timeout_s=600, clock=clock
    )
    poller = BuildPoller(
        carrier, feed, interval_s=5, concurrency=50, monotonic=lambda: clock().timestamp(), jitter=lambda: 0.5
    )
    endpoints = EndpointSearch(
        builder=builder, deployments=dynamo.deployments, get_function=dynamo.functions.get, interval_s=0.02
    )
    return Stage(
        clock=clock,
        dynamo=dynamo,
        sources=sources,
        builder=builder,
        feed=feed,
        journal=journal,
        poller=poller,
        endpoints=endpoints,
        workspace_id=new_workspace_id(),
        starts=BuildStartService(
            dynamo=dynamo,
            sources=sources,
            builder=builder,
            journal=journal,
            poller=poller,
            clock=clock,
            registry_url=registry_url,
            max_upload_bytes=1000,
        ),
        deployments=DeploymentService(
            dynamo=dynamo,
            builder=builder,
            journal=journal,
            poller=poller,
            endpoints=endpoints,
            clock=clock,
            namespaces=("default", "blue"),
            registry_url=registry_url,
        ),
    )
