"""The Builder Service stand-in on a socket, with a table, a bucket and a small Kubernetes API behind it."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.local.builder.app import create_app
from gateway.local.builder.config import BuilderConfig, Mode
from gateway.upstream.aws import open_dynamodb_client, open_s3_client
from tests.aws import as_role
from tests.local.builder.stage import REGION, Aws, Builder, Cluster, StartBuilder, new_workspace, serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster_of_session() -> AsyncIterator[Cluster]:
    """A small Kubernetes API on a socket."""
    api = Cluster()
    path = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
    app = Starlette(routes=[Route(path, api.answer, methods=["GET", "PATCH"])])
    async with serving(app) as url:
        api.url = url
        yield api


@pytest.fixture
def cluster(cluster_of_session: Cluster) -> Cluster:
    """The same, with nothing deployed and no calls made."""
    cluster_of_session.reset()
    return cluster_of_session


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def aws(aws_server: str) -> AsyncIterator[Aws]:
    """A table and a bucket for the tests of the builder; each test makes up its own workspace."""
    table, bucket = f"builder-{uuid.uuid4().hex[:8]}", f"builder-{uuid.uuid4().hex[:8]}"
    url = as_role(aws_server, "builder")
    async with open_dynamodb_client(REGION, url) as dynamodb, open_s3_client(REGION, url) as s3:
        made = Aws(url, table, bucket, dynamodb, s3)
        await made.create(table, bucket)
        yield made


@pytest.fixture
def workspace() -> str:
    """A workspace id of its own."""
    return new_workspace()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all stand-ins of the session: mypy's cache is warm from the second build on."""
    return tmp_path_factory.mktemp("builder")


@pytest.fixture(scope="session")
def start_builder(aws: Aws, cluster_of_session: Cluster, data_dir: Path) -> StartBuilder:
    """Start a stand-in that builds for CPython, with settings to differ."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Builder]:
        defaults: dict[str, Any] = {
            "data_dir": data_dir,
            "registry": data_dir / "registry",
            "kubernetes_url": cluster_of_session.url,
            "table": aws.table,
            "bucket": aws.bucket,
            "aws_endpoint_url": aws.url,
            "mode": Mode.PYTHON,
            "namespaces": ("default", "gone"),
        }
        config = BuilderConfig(**(defaults | settings))
        async with (
            serving(create_app(config)) as url,
            httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
        ):
            yield Builder(client, config)

    return start


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def builder(start_builder: StartBuilder) -> AsyncIterator[Builder]:
    """One stand-in with the settings that most tests need."""
    async with start_builder() as started:
        yield started
