"""What the builds' tests stand on: the gateway's parts around a builder, with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError

from gateway.builds.carrier import BuildCarrier
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.feed import BuildFeed
from gateway.builds.handover import Handover
from gateway.builds.image_deploys import ImageDeployer
from gateway.builds.journal import BuildJournal
from gateway.builds.lease import Leases
from gateway.builds.lookout import Lookout
from gateway.builds.pipeline import DeployPipeline
from gateway.builds.places import Places
from gateway.builds.poller import BuildPoller
from gateway.records.builds import BuildRecord
from gateway.records.clock import CLOCK_SKEW_S
from gateway.records.functions import FunctionRecord
from gateway.services.cancellations import CancellationService
from gateway.services.deployments import DeploymentService
from gateway.services.ids import new_workspace_id
from gateway.services.places import PlaceChecks
from gateway.services.rollbacks import RollbackService
from gateway.services.sources import StoredSources
from gateway.services.spinapps import SpinApps
from gateway.services.starts import BuildStartService
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Condition, equals
from gateway.upstream.http import open_http_client
from gateway.upstream.kubernetes import Kubernetes
from gateway.upstream.s3 import SourceBucket
from tests.builds.samples import SOURCE, START, a_function, a_workspace
from tests.builds.stores import AwsClients, fresh_dynamo
from tests.stores import StoppedClock

LEASE_S = 15.0
NAMESPACES = ("default", "blue")


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
    leases: Leases
    journal: BuildJournal
    poller: BuildPoller
    lookout: Lookout
    starts: BuildStartService
    deployments: DeploymentService
    endpoints: EndpointSearch
    rollbacks: RollbackService
    cancellations: CancellationService
    workspace_id: str
    deleted_apps: list[tuple[str, str]]
    """Namespace and name of each SpinApp that was deleted."""

    async def round(self) -> None:
        """One round of the poller, to its end."""
        async with asyncio.TaskGroup() as group:
            self.poller.tick(group)

    async def rounds(self, count: int, *, seconds: float = 6) -> None:
        """Rounds with time in between: more than the interval, less than any backoff."""
        for _ in range(count):
            await self.round()
            self.clock.advance(seconds=seconds)

    def replica(self, owner: str, *, client: httpx.AsyncClient | None = None) -> "Stage":
        """Another replica, with a client of its own where one is given: what was stored is there, and no more."""
        stage = _assemble(self.aws, client or self.client, self.clock, self.dynamo, owner=owner)
        stage.workspace_id = self.workspace_id
        return stage

    def restarted(self) -> "Stage":
        """A process that takes the place of this one after it was killed, as soon as its leases have passed."""
        self.clock.advance(seconds=LEASE_S + CLOCK_SKEW_S + 1)
        return self.replica("replica-1b")

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

        def refuse(request: AWSPreparedRequest, **_: object) -> None:
            if '"Put"' not in str(request.body):
                raise BotoCoreError

        events.register("before-send.dynamodb.TransactWriteItems", refuse)
        try:
            yield
        finally:
            events.unregister("before-send.dynamodb.TransactWriteItems", refuse)

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
    owner: str = "replica-1",
) -> Stage:
    builder, sources, kubernetes = Builder(client), aws.sources, Kubernetes(None)
    feed = BuildFeed(dynamo.builds, clock=clock)
    leases = Leases(dynamo.builds.leases, owner=owner, lease_s=LEASE_S, max_held_s=600, clock=clock)
    journal = BuildJournal(dynamo.builds, feed, leases)
    deleted_apps: list[tuple[str, str]] = []

    async def delete_spinapp(namespace: str, name: str) -> None:
        deleted_apps.append((namespace, name))

    places = Places(dynamo.places, delete_spinapp)
    pipeline = DeployPipeline(
        builder=builder,
        journal=journal,
        get_function=dynamo.functions.get,
        read_source=StoredSources(dynamo, sources).read,
        places=places,
        holds=dynamo.holds,
        registry_url=registry_url,
        clock=clock,
    )
    handover = Handover(
        builds=dynamo.builds, builder=builder, journal=journal, read_upload=sources.read_upload, clock=clock
    )
    carrier = BuildCarrier(
        builds=dynamo.builds,
        builder=builder,
        journal=journal,
        leases=leases,
        handover=handover,
        pipeline=pipeline,
        timeout_s=600,
        clock=clock,
    )
    poller = BuildPoller(
        carrier,
        leases,
        interval_s=5,
        concurrency=concurrency,
        monotonic=lambda: clock().timestamp(),
        jitter=lambda: 0.5,
    )
    deployer = ImageDeployer(dynamo, builder=builder, places=places, clock=clock)
    endpoints = EndpointSearch(deployer, dynamo.image_deploys, clock=clock, interval_s=0.02)
    return Stage(
        aws=aws,
        client=client,
        clock=clock,
        dynamo=dynamo,
        sources=sources,
        builder=builder,
        feed=feed,
        leases=leases,
        journal=journal,
        poller=poller,
        lookout=Lookout(dynamo.builds, leases, poller, feed, clock=clock),
        endpoints=endpoints,
        workspace_id=new_workspace_id(),
        deleted_apps=deleted_apps,
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
            find_spinapp=SpinApps(kubernetes, dynamo.places, NAMESPACES).find,
            places=PlaceChecks(dynamo, kubernetes.get_spinapp_owner),
            clock=clock,
            namespaces=NAMESPACES,
            registry_url=registry_url,
        ),
        rollbacks=RollbackService(dynamo, journal, poller, clock, namespaces=NAMESPACES),
        cancellations=CancellationService(dynamo, journal, clock, delete_spinapp=delete_spinapp),
    )
