"""Replicas of the gateway as processes of their own, on one table and before one builder."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.records.clock import system_clock
from gateway.settings import Settings
from gateway.upstream.dynamo import Dynamo, open_dynamo
from tests.gateway import NOBODY, Gateway
from tests.serving import Served, serving
from tests.stores import prepared_settings

LEASE_S = 5.0
"""The shortest that is allowed."""
POLL_S = 0.2
NOTHING: Mapping[str, str] = {}

DEPLOY = "mutation ($input: DeployFunctionInput!) { deployFunction(input: $input) { build { id appName } } }"
BUILD = """query ($id: ID!) {
  build(id: $id) { status error sequence function { status latestBuild { id } deployments { nodes { id } } } }
}"""


@dataclass(frozen=True, slots=True)
class Replica(Gateway):
    """A replica, as a client sees it, and its process."""

    served: Served

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return self.served.url

    async def deploy(self, workspace_id: str, name: str) -> str:
        """Make a function of this name and deploy it; the build's id."""
        function_id = await self.create_function(workspace_id, name)
        answer = await self.data(DEPLOY, input={"functionId": function_id})
        build_id: str = answer["deployFunction"]["build"]["id"]
        return build_id

    async def build(self, build_id: str) -> Any:
        """A build, with its function's deployments."""
        return (await self.data(BUILD, id=build_id))["build"]

    async def until(self, build_id: str, *statuses: str, seconds: float = 15) -> Any:
        """The build as soon as it has one of these statuses; TimeoutError where it takes longer."""
        async with asyncio.timeout(seconds):
            while True:
                build = await self.build(build_id)
                if build["status"] in statuses:
                    return build
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.served.process.kill()
        self.served.process.wait(timeout=10)

    async def stopped(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self.served.process.wait, 30)


@dataclass(frozen=True, slots=True)
class Platform:
    """What the replicas share."""

    settings: Settings
    dynamo: Dynamo
    builder_url: str
    folder: Path
    running: list[AbstractContextManager[Served]] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def replica(self, name: str, *, skew_s: float = 0, told: Mapping[str, str] = NOTHING) -> Replica:
        """Start a replica, whose clock may differ; `told` are settings by their names."""
        environment = {
            "HOST": "127.0.0.1",
            "PORT": "0",
            "AWS_ENDPOINT_URL": self.settings.aws_endpoint_url or "",
            "DYNAMODB_TABLE_NAME": self.settings.dynamodb_table_name,
            "S3_BUCKET_NAME": self.settings.s3_bucket_name,
            "BUILDER_SERVICE_URL": self.builder_url,
            "LOKI_SERVICE_URL": NOBODY,
            "PROMETHEUS_SERVICE_URL": NOBODY,
            "KUBERNETES_API_URL": NOBODY,
            "BUILD_LEASE_S": f"{LEASE_S:g}",
            "BUILD_POLL_INTERVAL_S": f"{POLL_S:g}",
            "DRAIN_TIMEOUT_S": "10",
            **told,
        }
        log = self.folder / f"{name}.log"
        module = ["-m", "tests.builds.replicas.skewed", str(skew_s)] if skew_s else ["-m", "gateway", "serve"]
        process = serving([sys.executable, *module], log, environment=environment)
        served = await asyncio.to_thread(process.__enter__)
        self.running.append(process)
        client = httpx.AsyncClient(base_url=served.url, timeout=30, trust_env=False)
        self.clients.append(client)
        return Replica(client, self.settings, served)

    async def replicas(self, *names: str, told: Mapping[str, str] = NOTHING) -> list[Replica]:
        """Start several at once."""
        return list(await asyncio.gather(*(self.replica(name, told=told) for name in names)))

    async def stop(self) -> None:
        """End all of them at once."""
        for client in self.clients:
            await client.aclose()
        await asyncio.gather(*(asyncio.to_thread(process.__exit__, None, None, None) for process in self.running))

    async def owner_of(self, build_id: str) -> str | None:
        """Who carries a build; None when nobody does."""
        for active in await self.dynamo.builds.leases.list_active():
            if active.id == build_id and active.lease is not None:
                return active.lease.owner
        return None

    def log_of(self, name: str) -> str:
        """What a replica has written."""
        return (self.folder / f"{name}.log").read_text()


@asynccontextmanager
async def platform(aws_url: str, builder_url: str, folder: Path) -> AsyncIterator[Platform]:
    """A table, a bucket, and what is started on them, which ends with the block."""
    settings = await prepared_settings(aws_url)
    async with open_dynamo(
        region=settings.aws_region,
        endpoint_url=aws_url,
        table_name=settings.dynamodb_table_name,
        log_retention_days=30,
        clock=system_clock,
    ) as dynamo:
        shared = Platform(settings, dynamo, builder_url, folder)
        try:
            yield shared
        finally:
            await shared.stop()
