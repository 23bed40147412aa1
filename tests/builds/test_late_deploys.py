"""Deploys that the builder answers after their function was deleted: the SpinApp goes, and does not come back."""

import asyncio

import pytest

from gateway.errors import NotFoundError
from gateway.records.builder import DeployRequest
from gateway.records.builds import BuildStatus
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def deploying(script: ScriptedBuilder) -> bool:
    """Whether /deploy was called."""
    return bool(script.calls) and script.calls[-1] == "POST /api/v1/deploy"


async def test_deploy_function_when_it_is_deleted_while_the_builder_deploys(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """The build fails, and what the builder made by then is deleted by the name it answered."""
    function = await stage.create_function()
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deployed("hello.default.svc.cluster.local")
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    script.released = asyncio.Event()
    step = asyncio.create_task(stage.round())
    await eventually(lambda: deploying(script))
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    script.released.set()
    await step
    failed = await stage.build(build.id)
    assert (failed.status, failed.error) == (
        BuildStatus.FAILED,
        "The function was deleted while it was being deployed.",
    )
    assert stage.deleted_apps == [("default", "hello")]


async def test_deploy_image_when_the_function_is_deleted_while_the_builder_deploys(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """The caller learns that the function is gone, and so is what the builder made."""
    function = await stage.create_function()
    script.deployed("hello.default.svc.cluster.local")
    script.released = asyncio.Event()
    request = DeployRequest(namespace="default", image_ref="r.example/f:1", function_id=function.id)
    call = asyncio.create_task(stage.deployments.deploy_spin_app(request))
    await eventually(lambda: deploying(script))
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    script.released.set()
    with pytest.raises(NotFoundError):
        await call
    assert stage.deleted_apps == [("default", "hello")]
