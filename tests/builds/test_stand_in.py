"""The gateway before the Builder Service stand-in, which really builds, in both of its dialects."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.local.builder.app import create_app
from gateway.local.builder.config import BuilderConfig, Dialect, Mode
from gateway.local.registry import HOST, read_image
from tests.builds.live import LiveGateway, live_gateway
from tests.local.builder.stage import HELLO, Cluster, serving
from tests.stores import prepared_settings

DEPLOY = """mutation ($input: DeployFunctionInput!) { deployFunction(input: $input) { build { id } } }"""
PROGRESS = """subscription ($id: ID!) {
  buildProgress(id: $id, after: 0) {
    sequence status
    build { error imageUrl wasmPath sourcePath deployment { endpoint } function { status invocationUrl } }
  }
}"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all stand-ins: mypy's cache is warm from the second build on."""
    return tmp_path_factory.mktemp("builder")


@asynccontextmanager
async def built_by(aws_url: str, data_dir: Path, dialect: Dialect) -> AsyncIterator[LiveGateway]:
    """A gateway before a stand-in that builds for CPython and deploys to a small Kubernetes API."""
    settings = await prepared_settings(aws_url)
    cluster = Cluster()
    path = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
    api = Starlette(routes=[Route(path, cluster.answer, methods=["GET", "PATCH"])])
    async with serving(api) as kubernetes_url:
        config = BuilderConfig(
            data_dir=data_dir,
            registry=data_dir / "registry",
            kubernetes_url=kubernetes_url,
            table=settings.dynamodb_table_name,
            bucket=settings.s3_bucket_name,
            aws_endpoint_url=aws_url,
            mode=Mode.PYTHON,
            dialect=dialect,
        )
        async with (
            serving(create_app(config)) as builder_url,
            live_gateway(
                settings,
                builder_service_url=builder_url,
                build_poll_interval_s=0.05,
                registry_url=f"{HOST}/functions",
            ) as gateway,
        ):
            yield gateway


async def deployed(gateway: LiveGateway, function_id: str) -> list[dict[str, Any]]:
    """All events of a deploy."""
    build_id = (await gateway.data(DEPLOY, input={"functionId": function_id}))["deployFunction"]["build"]["id"]
    async with gateway.events(PROGRESS, id=build_id) as results:
        return [result["data"]["buildProgress"] async for result in results]


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_deploy_function_when_it_is_really_built(aws_server: str, data_dir: Path, dialect: Dialect) -> None:
    """Every phase is seen in either dialect; the image in the registry has the function's environment."""
    async with built_by(aws_server, data_dir, dialect) as gateway:
        code = base64.b64encode(HELLO.encode()).decode()
        variables = [{"name": "GREETING", "value": 'say "hi"\n'}]
        function_id = await gateway.create_function(
            await gateway.create_workspace(), "Hello", code=code, environmentVariables=variables
        )
        events = await deployed(gateway, function_id)
    assert [event["status"] for event in events] == ["PENDING", "BUILDING", "PUSHING", "DEPLOYING", "DONE"]
    build = events[-1]["build"]
    app = f"hello{function_id.replace('-', '')}"
    assert build["deployment"] == {"endpoint": f"{app}.default.svc.cluster.local"}
    assert build["function"] == {"status": "ACTIVE", "invocationUrl": f"http://{app}.default.svc.cluster.local"}
    assert build["sourcePath"].endswith(f"/{app}.zip")
    config = read_image(data_dir / "registry", build["imageUrl"]).config
    assert config["component"][app]["environment"] == {"GREETING": 'say "hi"\n'}


async def test_deploy_function_when_the_source_is_wrong(aws_server: str, data_dir: Path) -> None:
    """The builder's words, without its own paths, and the hint where there is one; the function is FAILED."""
    sources = {
        "def broken(:\n": "app.py:1:",
        "x: int = 'text'\n": "app.py:1:10: error: Incompatible types in assignment",
        "x = 1\n": "class IncomingHandler(http.IncomingHandler):",
    }
    async with built_by(aws_server, data_dir, Dialect.RUNNING) as gateway:
        workspace_id = await gateway.create_workspace()
        for source, words in sources.items():
            code = base64.b64encode(source.encode()).decode()
            *_, last = await deployed(gateway, await gateway.create_function(workspace_id, code=code))
            assert (last["status"], last["build"]["function"]["status"]) == ("FAILED", "FAILED")
            assert words in last["build"]["error"]
            assert str(data_dir) not in last["build"]["error"]
            assert "/tmp" not in last["build"]["error"]
            assert last["build"]["error"].count("hint:") <= 1
