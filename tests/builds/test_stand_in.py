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
from gateway.local.builder.config import BuilderConfig, Dialect, Faults, Mode
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
async def built_by(
    aws_url: str, data_dir: Path, dialect: Dialect, faults: Faults | None = None, **settings: Any
) -> AsyncIterator[LiveGateway]:
    """A gateway before a stand-in that builds for CPython and deploys to a small Kubernetes API."""
    stores = await prepared_settings(aws_url)
    cluster = Cluster()
    path = "/apis/core.spinkube.dev/v1alpha1/namespaces/{namespace}/spinapps/{name}"
    api = Starlette(routes=[Route(path, cluster.answer, methods=["GET", "PATCH"])])
    async with serving(api) as kubernetes_url:
        config = BuilderConfig(
            data_dir=data_dir,
            registry=data_dir / "registry",
            kubernetes_url=kubernetes_url,
            table=stores.dynamodb_table_name,
            bucket=stores.s3_bucket_name,
            aws_endpoint_url=aws_url,
            mode=Mode.PYTHON,
            dialect=dialect,
            faults=faults or Faults(),
        )
        async with (
            serving(create_app(config)) as builder_url,
            live_gateway(
                stores,
                builder_service_url=builder_url,
                build_poll_interval_s=0.05,
                registry_url=f"{HOST}/functions",
                **settings,
            ) as gateway,
        ):
            yield gateway


START = """mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id sourcePath } } }"""
PUSH = """mutation ($input: StartPushInput!) { startPush(input: $input) { build { id } } }"""
BUILD_AND_PUSH = """mutation ($input: StartBuildAndPushInput!) {
  startBuildAndPush(input: $input) { build { id } }
}"""
ROLLBACK = """mutation ($input: RollbackFunctionInput!) { rollbackFunction(input: $input) { build { id } } }"""
SCAFFOLD = """mutation ($input: ScaffoldSpinAppInput!) {
  scaffoldSpinApp(input: $input) { success yamlContent error }
}"""
CANCEL = """mutation ($input: CancelBuildInput!) { cancelBuild(input: $input) { build { status } } }"""


async def followed(gateway: LiveGateway, build_id: str) -> list[dict[str, Any]]:
    """All events of a build."""
    async with gateway.events(PROGRESS, id=build_id) as results:
        return [result["data"]["buildProgress"] async for result in results]


def statuses(events: list[dict[str, Any]]) -> list[str]:
    """What a build entered."""
    return [event["status"] for event in events]


async def deployed(gateway: LiveGateway, function_id: str) -> list[dict[str, Any]]:
    """All events of a deploy."""
    answer = await gateway.data(DEPLOY, input={"functionId": function_id})
    return await followed(gateway, answer["deployFunction"]["build"]["id"])


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


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_operations_when_they_are_really_done(aws_server: str, data_dir: Path, dialect: Dialect) -> None:
    """In either dialect: a build, a push of its source, two deploys, a rollback to the first, and a manifest."""
    async with built_by(aws_server, data_dir, dialect) as gateway:
        workspace_id = await gateway.create_workspace()
        answer = await gateway.upload(START, "Hello.PY", HELLO.encode(), workspaceId=workspace_id)
        build = answer["data"]["startBuild"]["build"]
        assert statuses(await followed(gateway, build["id"])) == ["PENDING", "BUILDING", "DONE"]
        given = {"workspaceId": workspace_id, "registryUrl": f"{HOST}/pushed", "sourcePath": build["sourcePath"]}
        push_id = (await gateway.data(PUSH, input=given))["startPush"]["build"]["id"]
        *_, pushed = await followed(gateway, push_id)
        assert (pushed["status"], pushed["build"]["imageUrl"]) == ("DONE", f"{HOST}/pushed:task-{push_id}")
        made = (await gateway.data(SCAFFOLD, input={"imageRef": pushed["build"]["imageUrl"]}))["scaffoldSpinApp"]
        assert (made["success"], pushed["build"]["imageUrl"] in made["yamlContent"]) == (True, True)
        code = base64.b64encode(HELLO.encode()).decode()
        function_id = await gateway.create_function(workspace_id, code=code)
        first, second = [(await deployed(gateway, function_id))[-1]["build"] for _ in range(2)]
        assert first["imageUrl"] != second["imageUrl"]
        query = "query ($id: ID!) { function(id: $id) { deployments { nodes { id imageUrl isCurrent } } } }"
        nodes = (await gateway.data(query, id=function_id))["function"]["deployments"]["nodes"]
        rollback = {"functionId": function_id, "deploymentId": nodes[1]["id"]}
        build_id = (await gateway.data(ROLLBACK, input=rollback))["rollbackFunction"]["build"]["id"]
        assert statuses(await followed(gateway, build_id)) == ["DEPLOYING", "DONE"]
        current = (await gateway.data(query, id=function_id))["function"]["deployments"]["nodes"][0]
        assert (current["imageUrl"], current["isCurrent"]) == (first["imageUrl"], True)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    "faults",
    [Faults(stale=True), Faults(forgetful=True), Faults(answer_delay_s=0.3)],
    ids=["stale", "forgetful", "slow"],
)
async def test_start_build_when_the_builder_is_in_trouble(
    aws_server: str, data_dir: Path, dialect: Dialect, faults: Faults
) -> None:
    """One replica says `running` for ever, one knows no task, one is slow: the build is DONE all the same."""
    async with built_by(aws_server, data_dir, dialect, faults) as gateway:
        workspace_id = await gateway.create_workspace()
        answer = await gateway.upload(START, "hello.py", HELLO.encode(), workspaceId=workspace_id)
        events = await followed(gateway, answer["data"]["startBuild"]["build"]["id"])
        assert (statuses(events)[0], statuses(events)[-1]) == ("PENDING", "DONE")
        query = "query ($id: ID!) { workspace(id: $id) { builds { nodes { status } } } }"
        listed = (await gateway.data(query, id=workspace_id))["workspace"]["builds"]["nodes"]
        assert listed == [{"status": "DONE"}]


@pytest.mark.ci  # a push that hangs does so until its time is up
@pytest.mark.parametrize("dialect", list(Dialect))
async def test_start_build_and_push_when_the_push_fails(aws_server: str, data_dir: Path, dialect: Dialect) -> None:
    """Refused or hanging, the error points at IRSA; what hangs can be cancelled; a crash is BUILDER_ERROR."""
    faults = Faults(push_error="unexpected status from POST request: 403 Forbidden")
    async with built_by(aws_server, data_dir, dialect, faults, build_timeout_s=8) as gateway:
        workspace_id = await gateway.create_workspace()

        async def start() -> Any:
            return await gateway.upload(
                BUILD_AND_PUSH, "hello.py", HELLO.encode(), workspaceId=workspace_id, registryUrl=f"{HOST}/f"
            )

        build_id = (await start())["data"]["startBuildAndPush"]["build"]["id"]
        events = await followed(gateway, build_id)
        assert statuses(events) == ["PENDING", "BUILDING", "PUSHING", "FAILED"]
        assert events[-1]["build"]["error"].startswith("unexpected status from POST request: 403 Forbidden\nhint:")
        assert "eks.amazonaws.com/role-arn" in events[-1]["build"]["error"]
        assert events[-1]["build"]["wasmPath"] is not None
        faults.push_hangs = True
        hanging = [(await start())["data"]["startBuildAndPush"]["build"]["id"] for _ in range(2)]
        async with gateway.events(PROGRESS, id=hanging[1]) as results:
            async for result in results:
                if result["data"]["buildProgress"]["status"] == "PUSHING":
                    await gateway.data(CANCEL, input={"id": hanging[1]})
        assert (await followed(gateway, hanging[1]))[-1]["status"] == "CANCELLED"
        *_, timed_out = await followed(gateway, hanging[0])
        assert timed_out["build"]["error"].startswith(
            "timed out after 8 seconds while the image was pushed\nhint:"
        )
        faults.crashing = frozenset({"build-and-push"})
        (error,) = (await start())["errors"]
        assert error["extensions"]["code"] == "BUILDER_ERROR"
        assert error["message"] == "The Builder Service answered 500: Internal Server Error"
