"""Deploys that nobody makes again while the builder may be at them still: what comes of them is looked after."""

import asyncio

import pytest

from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import ImageDeploy
from gateway.services.deletions import DeletionService
from gateway.services.spinapps import SpinApps
from gateway.upstream.dynamo.holds import HOLD_S
from gateway.upstream.dynamo.removal import WorkspaceRemoval
from gateway.upstream.kubernetes import Kubernetes
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import NAMESPACES, Stage
from tests.builds.test_image_locks import ENDPOINT, an_image, called, images
from tests.builds.test_image_recovery import kill, stop

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def left(stage: Stage, script: ScriptedBuilder, function: FunctionRecord) -> ImageDeploy:
    """An image's deploy whose process died while the builder was at it."""
    script.deployed(ENDPOINT, app_name=None)
    script.released = asyncio.Event()
    dying = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function, app_name="shop")))
    await called(script, 1)
    await kill(stage, dying)
    script.released.set()
    (deploy,) = await stage.dynamo.image_deploys.list_unfinished()
    return deploy


async def finished(stage: Stage) -> bool:
    """Whether no deploy of an image is left."""
    return await stage.dynamo.image_deploys.list_unfinished() == []


async def test_look_when_an_unanswered_deploy_is_over(stage: Stage, script: ScriptedBuilder) -> None:
    """It is not made again: its caller was told that it failed."""
    function = await stage.create_function()
    await stage.dynamo.image_deploys.abandon(await left(stage, script, function))
    stage.clock.advance(seconds=HOLD_S + 1)
    other = stage.replica("replica-2")
    await other.endpoints.look()
    assert await finished(stage)
    assert images(script) == ["1"]
    assert other.deleted_apps == []


async def test_look_when_the_function_of_an_unanswered_deploy_is_gone(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """The builder may make the SpinApp after the deletion: it goes when the builder can't be at it any more."""
    function = await stage.create_function()
    await stage.dynamo.image_deploys.abandon(await left(stage, script, function))
    await stage.dynamo.image_deploys.forget_function(function.id, stage.clock())
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    stage.clock.advance(seconds=HOLD_S + 1)
    other = stage.replica("replica-2")
    await other.endpoints.look()
    assert await finished(stage)
    assert other.deleted_apps == [("default", "shop")]


async def test_look_when_the_workspace_was_deleted(stage: Stage, script: ScriptedBuilder) -> None:
    """What the builder made for a process that died meanwhile goes too."""
    function = await stage.create_function()
    await left(stage, script, function)
    await WorkspaceRemoval(stage.dynamo.table).delete_functions(stage.workspace_id, [function.id])
    stage.clock.advance(seconds=HOLD_S + 1)
    other = stage.replica("replica-2")
    searching = asyncio.create_task(other.endpoints.run())
    await eventually(lambda: finished(stage))
    await stop(searching)
    assert other.deleted_apps == [("default", "shop")]
    assert images(script) == ["1"]


@pytest.mark.parametrize("whole_workspace", [False, True])
async def test_delete_when_the_process_of_its_build_dies(
    stage: Stage, script: ScriptedBuilder, whole_workspace: bool
) -> None:
    """What the builder makes after the deletion goes too, when the builder can't be at it any more."""
    function = await stage.create_function()
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deployed(ENDPOINT)
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    script.released = asyncio.Event()
    dying = asyncio.create_task(stage.round())
    await called(script, 1)
    await stop(dying)
    script.released.set()
    other = stage.replica("replica-2")
    spinapps = SpinApps(Kubernetes(None), stage.dynamo.places, NAMESPACES)
    deletions = DeletionService(stage.dynamo, stage.sources, spinapps, other.journal, stage.clock)
    if whole_workspace:
        await deletions.delete_workspace(stage.workspace_id)
    else:
        await deletions.delete_function(function.id)
    await other.endpoints.look()
    assert other.deleted_apps == []
    stage.clock.advance(seconds=HOLD_S + 1)
    await other.endpoints.look()
    assert await finished(stage)
    assert other.deleted_apps == [("default", build.app_name)]
