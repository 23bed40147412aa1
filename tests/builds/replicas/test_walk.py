"""A build from start to end through two replicas, before a builder that really builds, in both dialects."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.local.builder.app import create_app
from gateway.local.builder.config import BuilderConfig, Dialect, Mode
from gateway.local.registry import HOST
from gateway.settings import Settings
from tests.builds.replicas.platform import DEPLOY, Platform
from tests.builds.replicas.watching import watch, watch_workspace
from tests.builds.samples import eventually
from tests.local.builder.stage import HELLO, Cluster, serving


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for both: mypy's cache is warm for the second."""
    return tmp_path_factory.mktemp("builder")


@asynccontextmanager
async def real_builder(settings: Settings, data_dir: Path, dialect: Dialect) -> AsyncIterator[str]:
    """The URL of a stand-in that builds for CPython and deploys to a small Kubernetes API."""
    path = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
    api = Starlette(routes=[Route(path, Cluster().answer, methods=["GET", "PATCH"])])
    async with serving(api) as kubernetes_url:
        config = BuilderConfig(
            data_dir=data_dir,
            registry=data_dir / "registry",
            kubernetes_url=kubernetes_url,
            table=settings.dynamodb_table_name,
            bucket=settings.s3_bucket_name,
            aws_endpoint_url=settings.aws_endpoint_url,
            mode=Mode.PYTHON,
            dialect=dialect,
        )
        async with serving(create_app(config)) as url:
            yield url


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_deploy_when_watched_on_the_other_replica(
    shared: Platform, data_dir: Path, dialect: Dialect
) -> None:
    """Every phase once, in order, for a subscriber on the other replica that connects again in the middle."""
    async with real_builder(shared.settings, data_dir, dialect) as url:
        told = {"BUILDER_SERVICE_URL": url, "BUILD_POLL_INTERVAL_S": "0.05", "REGISTRY_URL": f"{HOST}/functions"}
        owner, other = await shared.replicas("owner", "other", told=told)
        workspace_id = await owner.create_workspace()
        everything = watch_workspace(workspace_id)
        watching = asyncio.create_task(everything.follow(other.url))
        code = base64.b64encode(HELLO.encode()).decode()
        function_id = await owner.create_function(workspace_id, "hello", code=code)
        answer = await owner.data(DEPLOY, input={"functionId": function_id})
        build_id = answer["deployFunction"]["build"]["id"]
        again, moving = watch(build_id), watch(build_id)
        async with asyncio.timeout(60):
            await asyncio.gather(again.follow(other.url, most=2), moving.follow(other.url, most=3))
            await asyncio.gather(again.follow(other.url), moving.follow(owner.url))

        async def all_seen() -> bool:
            return len(everything.events) == 5

        await eventually(all_seen)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        phases = ["PENDING", "BUILDING", "PUSHING", "DEPLOYING", "DONE"]
        for watcher in (again, moving, everything):
            assert (watcher.statuses, watcher.sequences) == (phases, [1, 2, 3, 4, 5])
        assert (again.completed, moving.completed, everything.completed) == (True, True, False)
        assert len((await other.build(build_id))["function"]["deployments"]["nodes"]) == 1
