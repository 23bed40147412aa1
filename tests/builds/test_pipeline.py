"""A function's deploy as one build, from its stored source to the endpoint."""

import io
import zipfile

import pytest

from gateway.records.builds import BuildRecord, BuildStatus
from gateway.records.functions import FunctionRecord, FunctionStatus
from tests.builds.samples import SOURCE
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

IMAGE = {"wasm_path": "s3://b/app.wasm", "image_uri": "r.example/f:1"}

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def deployed(
    stage: Stage, script: ScriptedBuilder, function: FunctionRecord, rounds: int = 8
) -> BuildRecord:
    """A deploy that goes through."""
    script.says("completed", result=IMAGE)
    script.deployed("hello.default.svc.cluster.local")
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(rounds)
    return await stage.build(build.id)


async def test_deploy_function_when_all_goes_well(stage: Stage, script: ScriptedBuilder) -> None:
    """Every phase is entered, the endpoint is asked for again, and build, deployment and function agree."""
    function = await stage.create_function()
    script.says("running")
    script.says("completed", result=IMAGE)
    script.deployed()
    script.deployed(service_status="pending")
    script.deployed("hello.default.svc.cluster.local")
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    seen = [(await stage.function(function.id)).status]
    for _ in range(6):
        await stage.rounds(1)
        seen.append((await stage.function(function.id)).status)
    done = await stage.build(build.id)
    assert [step.status.name for step in done.steps] == ["PENDING", "BUILDING", "PUSHING", "DEPLOYING", "DONE"]
    building, deploying, active = FunctionStatus.BUILDING, FunctionStatus.DEPLOYING, FunctionStatus.ACTIVE
    assert seen == [building, building, building, deploying, deploying, deploying, active]
    after = await stage.function(function.id)
    assert (after.latest_build_id, after.active_build_id) == (build.id, None)
    assert (after.app_name, after.namespace) == ("hello", "default")
    assert after.invocation_url == "http://hello.default.svc.cluster.local"
    assert (after.last_deployed, after.deployed_revision) == (done.finished_at, 1)
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=5, after=None)
    (deployment,) = page.items
    assert (deployment.id, deployment.image_url) == (done.deployment_id, "r.example/f:1")
    assert after.current_deployment_id == deployment.id


async def test_deploy_function_when_the_source_is_handed_over(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder gets the stored source with the environment, under a name and tag of the function's own."""
    function = await stage.create_function(environment_variables={"KEY": 'va"lue'})
    build = await deployed(stage, script, function)
    (form,) = script.forms
    filename, packed = form.pop("file")
    app = f"helloworld{function.id.replace('-', '')}"
    assert form == {
        "workspace_id": stage.workspace_id,
        "app_name": app,
        "tag": f"task-{build.id}",
        "username": "",
        "password": "",
    }
    assert filename == f"{app}.zip"
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read("app.py") == SOURCE
        assert '"KEY" = "va\\"lue"' in archive.read("spin.toml").decode()
    assert script.bodies[0] == {
        "namespace": "default",
        "image_ref": "r.example/f:1",
        "app_name": app,
        "function_id": function.id,
        "enable_autoscaling": True,
        "use_spot": True,
        "memory_limit": "256Mi",
    }
    assert build.source_path == "s3://b/source.zip"


async def test_deploy_function_when_the_builder_changes_the_name(stage: Stage, script: ScriptedBuilder) -> None:
    """It is asked again with the name that it answered, and that name is the function's from then on."""
    function = await stage.create_function()
    script.says("completed", result=IMAGE)
    script.deployed(app_name="cleaned")
    script.deployed("cleaned.default.svc.cluster.local", app_name="cleaned")
    await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(5)
    assert [body["app_name"] for body in script.bodies][1:] == ["cleaned"]
    assert (await stage.function(function.id)).app_name == "cleaned"


async def test_deploy_function_when_one_has_finished(stage: Stage, script: ScriptedBuilder) -> None:
    """Another may follow; the first one's deployment is not the current one any more."""
    function = await stage.create_function()
    first = await deployed(stage, script, function)
    second = await deployed(stage, script, function)
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=5, after=None)
    assert [item.id for item in page.items] == [second.deployment_id, first.deployment_id]
    assert (await stage.function(function.id)).current_deployment_id == second.deployment_id


@pytest.mark.parametrize("ran_before", [False, True])
async def test_deploy_function_when_the_build_fails(
    stage: Stage, script: ScriptedBuilder, ran_before: bool
) -> None:
    """The function is FAILED if it never ran; else what ran before is still up. It may be deployed again."""
    function = await stage.create_function()
    if ran_before:
        await deployed(stage, script, function)
    script.tasks.clear()
    script.says("failed", error="/tmp/spin_build_1/app.py:1:1: error: no")
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    assert (await stage.build(build.id)).error == "app.py:1:1: error: no"
    after = await stage.function(function.id)
    assert after.status is (FunctionStatus.ACTIVE if ran_before else FunctionStatus.FAILED)
    assert after.active_build_id is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"detail": "Namespace 'default' not found"}), "Namespace 'default' not found"),
        ((500, "Internal Server Error"), "The Builder Service answered 500: Internal Server Error"),
    ],
)
async def test_deploy_function_when_the_deploy_is_refused(
    stage: Stage, script: ScriptedBuilder, answer: tuple[int, object], error: str
) -> None:
    """The build fails in the builder's words."""
    function = await stage.create_function()
    script.says("completed", result=IMAGE)
    script.deploys.append(answer)
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(3)
    failed = await stage.build(build.id)
    assert failed.status is BuildStatus.FAILED
    assert error in (failed.error or "")
    assert (await stage.function(function.id)).status is FunctionStatus.FAILED


async def test_deploy_function_when_the_builder_is_busy_deploying(stage: Stage, script: ScriptedBuilder) -> None:
    """503 is no refusal: the deploy is asked for again."""
    function = await stage.create_function()
    script.deploys.append((503, "busy"))
    build = await deployed(stage, script, function)
    assert build.status is BuildStatus.DONE
    assert len(script.bodies) == 2


async def test_deploy_function_when_no_endpoint_comes(stage: Stage, script: ScriptedBuilder) -> None:
    """It is asked for every 5 s for 60 s from the first answer on, and then the build fails."""
    function = await stage.create_function()
    script.says("completed", result=IMAGE)
    script.deployed()
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(30, seconds=5)
    failed = await stage.build(build.id)
    assert failed.error == "The SpinApp hello in default had no endpoint after 60 s (service status: not_found)."
    assert len(script.bodies) == 13


async def test_deploy_function_when_the_builder_refuses_the_source(stage: Stage, script: ScriptedBuilder) -> None:
    """The build fails with what it says, in words."""
    function = await stage.create_function()
    script.upload = (
        422,
        {"detail": [{"loc": ["body", "registry_url"], "msg": "Field required", "type": "missing"}]},
    )
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.round()
    failed = await stage.build(build.id)
    assert failed.error == "The Builder Service answered 422: registry_url: Field required"
    assert len(script.calls) == 1


@pytest.mark.parametrize("rounds", [1, 2])
async def test_deploy_function_when_the_function_is_deleted(
    stage: Stage, script: ScriptedBuilder, rounds: int
) -> None:
    """While it is built or deployed: the build fails, and neither function nor deployment come back."""
    function = await stage.create_function()
    script.says("completed", result=IMAGE)
    script.deployed("hello.default.svc.cluster.local")
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(rounds)
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    await stage.rounds(2)
    failed = await stage.build(build.id)
    assert failed.status is BuildStatus.FAILED
    assert failed.error == "The function was deleted while it was being deployed."
    assert script.bodies == []
    assert await stage.dynamo.functions.get(function.id) is None
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=5, after=None)
    assert page.items == ()
