"""Rolling back, and moving to another namespace."""

import asyncio

import pytest

from gateway.errors import ConflictError, InvalidInputError, NotFoundError
from gateway.records.builder import DeployRequest
from gateway.records.builds import BuildKind, BuildStatus, DeploymentRecord
from gateway.records.functions import FunctionRecord, FunctionStatus
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENDPOINT = "hello.default.svc.cluster.local"


async def deploy(stage: Stage, script: ScriptedBuilder, function: FunctionRecord, tag: str) -> DeploymentRecord:
    """A deploy of an image with this tag, to its end."""
    script.tasks.clear()
    script.deploys.clear()
    script.says("completed", result={"image_uri": f"r.example/f:{tag}"})
    script.deployed(ENDPOINT)
    await stage.deployments.deploy_function(function.id, namespace="default", cpu_limit="500m")
    await stage.rounds(3)
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=1, after=None)
    return page.items[0]


async def test_roll_back_when_there_are_two_deployments(stage: Stage, script: ScriptedBuilder) -> None:
    """The first one's image, deployed as it was then, under the same name; it has undeployed changes then."""
    function = await stage.create_function()
    first = await deploy(stage, script, function, "1")
    await stage.dynamo.functions.update(
        stage.workspace_id, function.id, changes={"memory": 512}, new_revision=True
    )
    await deploy(stage, script, function, "2")
    assert (await stage.function(function.id)).deployed_revision == 2
    build = await stage.rollbacks.roll_back(function.id, first.id)
    assert (build.kind, build.status, build.image_url) == (
        BuildKind.ROLLBACK,
        BuildStatus.DEPLOYING,
        "r.example/f:1",
    )
    during = await stage.function(function.id)
    assert (during.status, during.active_build_id) == (FunctionStatus.DEPLOYING, build.id)
    assert during.latest_build_id == build.id
    uploads = len(script.forms)
    await stage.rounds(2)
    done = await stage.build(build.id)
    assert [step.status.name for step in done.steps] == ["DEPLOYING", "DONE"]
    assert len(script.forms) == uploads
    body = script.bodies[-1]
    assert (body["image_ref"], body["app_name"], body["memory_limit"]) == ("r.example/f:1", "hello", "256Mi")
    assert body["cpu_limit"] == "500m"
    after = await stage.function(function.id)
    assert (after.current_deployment_id, after.deployed_revision) == (done.deployment_id, 1)
    assert (after.status, after.active_build_id) == (FunctionStatus.ACTIVE, None)


async def test_roll_back_when_it_was_deployed_as_an_image(stage: Stage, script: ScriptedBuilder) -> None:
    """All that was given with the image is given again."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    request = DeployRequest(
        namespace="default",
        image_ref="r.example/own:1",
        function_id=function.id,
        enable_autoscaling=False,
        replicas=3,
        service_account="runner",
        custom_tolerations=[{"key": "spot", "tolerationSeconds": 3600}],
    )
    image = await stage.deployments.deploy_spin_app(request)
    stage.clock.advance(seconds=1)
    await deploy(stage, script, function, "2")
    await stage.rollbacks.roll_back(function.id, image.id)
    await stage.rounds(2)
    assert script.bodies[-1] == {
        "namespace": "default",
        "image_ref": "r.example/own:1",
        "app_name": "hello",
        "function_id": function.id,
        "enable_autoscaling": False,
        "replicas": 3,
        "use_spot": True,
        "service_account": "runner",
        "custom_tolerations": [{"key": "spot", "tolerationSeconds": 3600}],
    }


async def test_roll_back_when_it_is_refused(stage: Stage, script: ScriptedBuilder) -> None:
    """The codes of each refusal; the running build is named."""
    function, other = await stage.create_function(), await stage.create_function()
    first = await deploy(stage, script, function, "1")
    second = await deploy(stage, script, function, "2")
    with pytest.raises(ConflictError, match="is what runs now"):
        await stage.rollbacks.roll_back(function.id, second.id)
    for deployment_id in ("none", f"{function.id}-17", f"{function.id}-9{'0' * 30}", f"{other.id}-17", "../x", ""):
        with pytest.raises(NotFoundError) as missing:
            await stage.rollbacks.roll_back(function.id, deployment_id)
        assert missing.value.field == "deploymentId"
    with pytest.raises(NotFoundError) as missing:
        await stage.rollbacks.roll_back(other.id, first.id)
    assert missing.value.field == "deploymentId"
    with pytest.raises(NotFoundError) as missing:
        await stage.rollbacks.roll_back("fn-none0000", first.id)
    assert missing.value.field == "functionId"
    with pytest.raises(InvalidInputError):
        await stage.rollbacks.roll_back("../x", first.id)
    build = await stage.rollbacks.roll_back(function.id, first.id)
    with pytest.raises(ConflictError) as caught:
        await stage.rollbacks.roll_back(function.id, first.id)
    assert caught.value.details == {"buildId": build.id}
    with pytest.raises(ConflictError) as caught:
        await stage.deployments.deploy_function(function.id, namespace="default")
    assert caught.value.details == {"buildId": build.id}


async def test_roll_back_when_it_fails(stage: Stage, script: ScriptedBuilder) -> None:
    """What ran before is still what runs."""
    function = await stage.create_function()
    first = await deploy(stage, script, function, "1")
    second = await deploy(stage, script, function, "2")
    script.deploys.clear()
    script.deploys.append((400, {"detail": "Namespace 'default' not found"}))
    build = await stage.rollbacks.roll_back(function.id, first.id)
    await stage.rounds(1)
    failed = await stage.build(build.id)
    assert failed.status is BuildStatus.FAILED
    assert "kubectl create namespace default" in (failed.error or "")
    after = await stage.function(function.id)
    assert (after.status, after.current_deployment_id) == (FunctionStatus.ACTIVE, second.id)


async def test_deploy_function_when_it_moves(stage: Stage, script: ScriptedBuilder) -> None:
    """It stays where it is until it is reached at the new place; then the former SpinApp goes."""
    function = await stage.create_function()
    await deploy(stage, script, function, "1")
    script.deploys.clear()
    script.deployed(namespace="blue")
    script.deployed("hello.blue.svc.cluster.local", namespace="blue")
    build = await stage.deployments.deploy_function(function.id, namespace="blue")
    await stage.rounds(3)
    during = await stage.function(function.id)
    assert (during.namespace, during.invocation_url) == ("default", f"http://{ENDPOINT}")
    assert stage.deleted_apps == []
    await stage.rounds(1)
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    after = await stage.function(function.id)
    assert (after.namespace, after.invocation_url) == ("blue", "http://hello.blue.svc.cluster.local")
    assert stage.deleted_apps == [("default", "hello")]


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_deploy_function_when_it_does_not_move_after_all(
    stage: Stage, script: ScriptedBuilder, end: str
) -> None:
    """It is where it was, and nothing is left at the other place."""
    function = await stage.create_function()
    await deploy(stage, script, function, "1")
    script.deploys.clear()
    script.deployed(namespace="blue")
    build = await stage.deployments.deploy_function(function.id, namespace="blue")
    await stage.rounds(3)
    if end == "cancelled":
        await stage.cancellations.cancel(build.id)
    else:
        await stage.rounds(15)
    assert (await stage.build(build.id)).status.value == end
    after = await stage.function(function.id)
    assert (after.namespace, after.status) == ("default", FunctionStatus.ACTIVE)
    assert stage.deleted_apps == [("blue", "hello")]


async def test_deploy_spin_app_when_it_moves(stage: Stage, script: ScriptedBuilder) -> None:
    """The former SpinApp goes as soon as the new one is reached."""
    function = await stage.create_function()
    await deploy(stage, script, function, "1")
    stage.clock.advance(seconds=1)
    script.deploys.clear()
    script.deployed(app_name="shop")
    script.deployed("shop.default.svc.cluster.local", app_name="shop")
    request = DeployRequest(
        namespace="default", image_ref="r.example/f:2", function_id=function.id, app_name="Shop"
    )
    await stage.deployments.deploy_spin_app(request)
    assert stage.deleted_apps == []
    searching = asyncio.create_task(stage.endpoints.run())

    async def moved() -> bool:
        return stage.deleted_apps == [("default", "hello")]

    await eventually(moved)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert (await stage.function(function.id)).invocation_url == "http://shop.default.svc.cluster.local"
