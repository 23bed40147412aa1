"""Deploys of images that their process did not finish: killed, asleep, drained, or left by its caller."""

import asyncio

import pytest

from gateway.errors import ConflictError, NotFoundError
from gateway.records.builds import DeploymentRecord
from gateway.upstream.dynamo.holds import HOLD_S
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_image_locks import ENDPOINT, an_image, called, images, stored

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def kill(stage: Stage, call: asyncio.Task[DeploymentRecord]) -> None:
    """End a process in the middle of a call, as far as the table can tell: nothing of it runs on."""
    await stop(asyncio.create_task(stage.endpoints.run()))
    await asyncio.gather(call, return_exceptions=True)


async def stop(*tasks: asyncio.Task[None]) -> None:
    """End loops."""
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_deploy_spin_app_when_its_process_dies_before_the_answer(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """The function is barred for as long as the builder may be at it; then another replica does it again, once."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    dying = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function)))
    await called(script, 1)
    await kill(stage, dying)
    script.released.set()
    other = stage.replica("replica-2")
    await other.endpoints.look()
    with pytest.raises(ConflictError, match="is under way: the image"):
        await other.deployments.deploy_spin_app(an_image(function, "2"))
    stage.clock.advance(seconds=HOLD_S + 1)
    third = stage.replica("replica-3")
    await asyncio.gather(other.endpoints.look(), third.endpoints.look())
    running = [asyncio.create_task(replica.endpoints.run()) for replica in (other, third)]

    async def finished() -> bool:
        return await stage.dynamo.image_deploys.list_unfinished() == []

    await eventually(finished)
    await stop(*running)
    (deployment,) = await stored(stage, function)
    assert deployment.image_url == "r.example/f:1"
    assert (await stage.function(function.id)).current_deployment_id == deployment.id
    assert images(script) == ["1", "1"]
    assert await stage.dynamo.holds.get(function.id) is None


@pytest.mark.parametrize("next_deploy", ["image", "build"])
async def test_deploy_spin_app_when_its_process_dies_and_another_deploy_follows(
    stage: Stage, script: ScriptedBuilder, next_deploy: str
) -> None:
    """What follows before anybody took it over counts: the older image is not deployed again."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    dying = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function)))
    await called(script, 1)
    await kill(stage, dying)
    script.released.set()
    stage.clock.advance(seconds=HOLD_S + 1)
    other = stage.replica("replica-2")
    if next_deploy == "image":
        await other.deployments.deploy_spin_app(an_image(function, "2"))
    else:
        await other.deployments.deploy_function(function.id, namespace="default")
    await other.endpoints.look()
    searching = asyncio.create_task(other.endpoints.run())
    await asyncio.sleep(0.2)
    await stop(searching)
    assert images(script) == (["1", "2"] if next_deploy == "image" else ["1"])
    assert await stage.dynamo.image_deploys.list_unfinished() == []


async def test_deploy_spin_app_when_its_process_sleeps_too_long(stage: Stage, script: ScriptedBuilder) -> None:
    """What followed meanwhile stands: its caller learns so, and nothing of it is stored."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    sleeping = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function, "1")))
    await called(script, 1)
    stage.clock.advance(seconds=HOLD_S + 1)
    following = asyncio.create_task(
        stage.replica("replica-2").deployments.deploy_spin_app(an_image(function, "2"))
    )
    await called(script, 2)
    script.released.set()
    newest = await following
    with pytest.raises(ConflictError, match="has followed"):
        await sleeping
    assert await stored(stage, function) == [newest]


async def test_search_when_its_replica_is_gone(stage: Stage, script: ScriptedBuilder) -> None:
    """One of the others goes on with it, and the first to start after all were gone."""
    function = await stage.create_function()
    script.deployed()
    script.deployed(ENDPOINT)
    await stage.deployments.deploy_spin_app(an_image(function))
    others = [stage.replica("replica-2"), stage.replica("replica-3")]
    await asyncio.gather(*(other.endpoints.look() for other in others))
    running = [asyncio.create_task(other.endpoints.run()) for other in others]
    await asyncio.sleep(0.2)
    assert images(script) == ["1"], "the replica that deployed it may be there still"
    await stop(*running)
    stage.clock.advance(seconds=31)
    running = [asyncio.create_task(stage.replica(name).endpoints.run()) for name in ("replica-4", "replica-5")]

    async def has_url() -> bool:
        return (await stage.function(function.id)).invocation_url is not None

    await eventually(has_url)
    await stop(*running)
    assert images(script) == ["1", "1"]
    assert [deployment.endpoint for deployment in await stored(stage, function)] == [ENDPOINT]


async def test_drain_when_an_endpoint_is_sought(stage: Stage, script: ScriptedBuilder) -> None:
    """The call under way is finished, and another replica goes on at once."""
    function = await stage.create_function()
    script.deployed()
    await stage.deployments.deploy_spin_app(an_image(function))
    script.released = asyncio.Event()
    searching = asyncio.create_task(stage.endpoints.run())
    await called(script, 2)
    draining = asyncio.create_task(stage.endpoints.drain())
    await asyncio.sleep(0.2)
    assert not draining.done()
    script.released.set()
    await draining
    await stop(searching)
    script.deploys.clear()
    script.deployed(ENDPOINT)
    stage.clock.advance(seconds=0.001)
    other = asyncio.create_task(stage.replica("replica-2").endpoints.run())

    async def has_url() -> bool:
        return (await stage.function(function.id)).invocation_url is not None

    await eventually(has_url)
    await stop(other)


async def test_deploy_spin_app_when_its_caller_goes_away(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder can't be called back: what it deploys is stored all the same."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    calling = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function)))
    await called(script, 1)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    script.released.set()

    async def is_stored() -> bool:
        return len(await stored(stage, function)) == 1

    await eventually(is_stored)
    assert (await stage.function(function.id)).invocation_url == f"http://{ENDPOINT}"


async def test_look_when_the_function_was_deleted(stage: Stage, script: ScriptedBuilder) -> None:
    """What a crash left of a deploy goes with its function: the SpinApp, and the rows."""
    function = await stage.create_function()
    script.deployed(ENDPOINT, app_name=None)
    script.released = asyncio.Event()
    dying = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function, app_name="shop")))
    await called(script, 1)
    await kill(stage, dying)
    script.released.set()
    await stage.dynamo.image_deploys.forget_function(function.id, stage.clock())
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    with pytest.raises(NotFoundError):
        await stage.deployments.deploy_spin_app(an_image(function))
    stage.clock.advance(seconds=HOLD_S + 1)
    other = stage.replica("replica-2")
    searching = asyncio.create_task(other.endpoints.run())

    async def finished() -> bool:
        return await stage.dynamo.image_deploys.list_unfinished() == []

    await eventually(finished)
    await stop(searching)
    assert other.deleted_apps == [("default", "shop")]
    assert await stage.dynamo.places.list_of_function(function.id) == {}
    assert images(script) == ["1"]
