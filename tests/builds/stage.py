"""What the builds' tests stand on: the gateway's parts around a builder, with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
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
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Condition, equals
from gateway.upstream.http import open_http_client
from gateway.upstream.s3 import SourceBucket
from tests.builds.samples import SOURCE, START, a_function, a_workspace
from tests.builds.stores import AwsClients, fresh_dynamo
from tests.stores import StoppedClock


@dataclass(kw_only=True)
class Stage:
    """The parts of the gateway that builds go through, with a clock that the test moves."""

    aws: AwsClients
    client: httpx.AsyncClient
    """The builder's."""
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

    async def round(self) -> None:
        """One round of the poller, to its end."""
        async with asyncio.TaskGroup() as group:
            self.poller.tick(group)

    async def rounds(self, count: int, *, seconds: float = 6) -> None:
        """Rounds with time in between: more than the interval, less than any backoff."""
        for _ in range(count):
            await self.round()
            self.clock.advance(seconds=seconds)

    def restarted(self) -> "Stage":
        """The same after the process was killed: what was stored is there, and nothing else."""
        stage = _assemble(self.aws, self.client, self.clock, self.dynamo)
        stage.workspace_id = self.workspace_id
        return stage

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
        answer = await self.aws.s3.list_objects_v2(Bucket=self.sources.name, Prefix=prefix)
        return [found["Key"] for found in answer.get("Contents", ())]

    async def read_object(self, key: str) -> bytes:
        """An object of the bucket."""
        answer = await self.aws.s3.get_object(Bucket=self.sources.name, Key=key)
        return await answer["Body"].read()

    @contextmanager
    def unwritable_builds(self) -> Iterator[None]:
        """Within the block builds' rows can be made and read, but not be changed."""
        events = self.aws.dynamodb.meta.events

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


@asynccontextmanager
async def staged(aws: AwsClients, builder_url: str, **options: Any) -> AsyncIterator[Stage]:
    """Open a stage on a fresh table, with one workspace in it."""
    clock = StoppedClock(START)
    dynamo = await fresh_dynamo(aws.dynamodb, clock)
    async with open_http_client("builder", builder_url) as client:
        stage = _assemble(aws, client, clock, dynamo, **options)
        await dynamo.workspaces.create(a_workspace(stage.workspace_id, clock()))
        yield stage


def _assemble(
    aws: AwsClients,
    client: httpx.AsyncClient,
    clock: StoppedClock,
    dynamo: Dynamo,
    *,
    registry_url: str | None = None,
    concurrency: int = 50,
) -> Stage:
    builder, sources = Builder(client), aws.sources
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
        carrier,
        feed,
        interval_s=5,
        concurrency=concurrency,
        monotonic=lambda: clock().timestamp(),
        jitter=lambda: 0.5,
    )
    endpoints = EndpointSearch(
        builder=builder, deployments=dynamo.deployments, get_function=dynamo.functions.get, interval_s=0.02
    )
    return Stage(
        aws=aws,
        client=client,
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
