"""Where builds, deploys of images, cancels, deletions and drains meet within the same seconds."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from botocore.exceptions import BotoCoreError

from gateway.builds.pipeline import DeployPipeline
from gateway.builds.places import Places
from gateway.records.builds import BuildStatus
from gateway.records.image_deploys import DeployOverError, Place
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_abandoned_deploys import finished, left
from tests.builds.test_image_locks import ENDPOINT, an_image, called, images, stored
from tests.builds.test_image_recovery import stop
from tests.builds.test_places import moving

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextmanager
def unanswered(stage: Stage, *operations: str) -> Iterator[None]:
    """Within the block DynamoDB does not answer these."""
    events = stage.aws.dynamodb.meta.events

    def refuse(**_: object) -> None:
        raise BotoCoreError

    for operation in operations:
        events.register(f"before-send.dynamodb.{operation}", refuse)
    try:
        yield
    finally:
        for operation in operations:
            events.unregister(f"before-send.dynamodb.{operation}", refuse)


async def test_cancel_when_the_deploy_waits_for_its_turn(stage: Stage, script: ScriptedBuilder) -> None:
    """What was cancelled while another call was made for the function is not deployed after that."""
    function = await stage.create_function()
    script.says("completed", result={"image_uri": "r.example/f:build"})
    script.deployed(ENDPOINT)
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    assert await stage.dynamo.holds.take(function.id, "another@1", stage.clock())
    waiting = asyncio.create_task(stage.round())
    await asyncio.sleep(0.5)
    await stage.replica("replica-2").cancellations.cancel(build.id)
    await stage.dynamo.holds.release(function.id, "another@1")
    await waiting
    assert images(script) == []
    assert (await stage.build(build.id)).status is BuildStatus.CANCELLED


async def test_seek_when_a_build_begins_meanwhile(stage: Stage, script: ScriptedBuilder) -> None:
    """The search ends, and leaves the place alone that the build has claimed."""
    function = await stage.create_function()
    script.deployed(app_name=None)
    await stage.deployments.deploy_spin_app(an_image(function, app_name="shop"))
    script.released = asyncio.Event()
    searching = asyncio.create_task(stage.endpoints.run())
    await called(script, 2)
    script.deploys.clear()
    script.deployed(ENDPOINT, app_name=None)
    await stage.deployments.deploy_function(function.id, namespace="blue")
    script.released.set()

    async def is_free() -> bool:
        return await stage.dynamo.holds.get(function.id) is None

    await eventually(is_free)
    await stop(searching)
    assert await stage.dynamo.places.owner_of(Place("blue", "shop")) == function.id
    assert Place("blue", "shop") in await stage.dynamo.places.list_of_function(function.id)


async def test_expire_when_another_replica_has_finished_it(stage: Stage, script: ScriptedBuilder) -> None:
    """A process that slept before it gave a move up does not delete what runs by then."""
    _, build_id = await moving(stage, script)
    asleep = await stage.build(build_id)
    other = stage.restarted()
    await other.lookout.look()
    script.deploys.clear()
    script.deployed("shop.blue.svc.cluster.local", app_name="shop", namespace="blue")
    await other.rounds(2)
    assert (await stage.build(build_id)).status is BuildStatus.DONE
    deleted: list[tuple[str, str]] = []

    async def delete_spinapp(namespace: str, name: str) -> None:
        deleted.append((namespace, name))

    async def read_source(_: str, __: str) -> bytes | None:
        return None

    pipeline = DeployPipeline(
        builder=stage.builder,
        journal=stage.journal,
        get_function=stage.dynamo.functions.get,
        read_source=read_source,
        places=Places(stage.dynamo.places, delete_spinapp),
        holds=stage.dynamo.holds,
        registry_url=None,
        clock=stage.clock,
    )
    answered = await pipeline.expire(asleep, "timed out")
    assert answered is not None
    assert answered.status is BuildStatus.DONE
    assert deleted == []


async def test_drain_when_it_is_asked_twice(stage: Stage, script: ScriptedBuilder) -> None:
    """What another replica has taken over in between is left to that one."""
    function = await stage.create_function()
    script.deployed()
    await stage.deployments.deploy_spin_app(an_image(function))
    await stage.endpoints.drain()
    stage.clock.advance(seconds=0.001)
    await stage.replica("replica-2").endpoints.look()
    (taken,) = await stage.dynamo.image_deploys.list_unfinished()
    await stage.endpoints.drain()
    assert await stage.dynamo.image_deploys.list_unfinished() == [taken]


async def test_drain_when_dynamodb_does_not_answer(stage: Stage, script: ScriptedBuilder) -> None:
    """The end of the process goes on: others take over what could not be left, when its time has passed."""
    function = await stage.create_function()
    script.deployed()
    await stage.deployments.deploy_spin_app(an_image(function))
    with unanswered(stage, "UpdateItem", "DeleteItem"):
        await stage.endpoints.drain()
    (deploy,) = await stage.dynamo.image_deploys.list_unfinished()
    assert deploy.carried_until > stage.clock()


async def test_store_when_another_image_has_followed(stage: Stage, script: ScriptedBuilder) -> None:
    """The answer to the earlier deploy is stored nowhere, even where nobody holds the function."""
    function = await stage.create_function()
    earlier = await left(stage, script, function)
    await stage.dynamo.holds.release(function.id, (await stage.dynamo.holds.get(function.id)).by)  # type: ignore[union-attr]  # it is held
    stage.clock.advance(seconds=1)
    newest = await stage.deployments.deploy_spin_app(an_image(function, "2", app_name="shop"))
    late = replace(newest, id=f"{function.id}-1", image_url=earlier.image_url)
    with pytest.raises(DeployOverError):
        await stage.dynamo.image_deploys.store(replace(earlier, holder="late@1"), late, stage.clock())
    assert await stored(stage, function) == [newest]
    assert (await stage.function(function.id)).current_deployment_id == newest.id


async def test_deploy_spin_app_when_a_failed_move_has_left_something(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """It goes with this deploy, as the failed build said, though its endpoint is there at once."""
    function, build_id = await moving(stage, script)
    stage.clock.advance(seconds=600)
    other = stage.restarted()
    await other.lookout.look()
    await other.rounds(1)
    assert (await stage.build(build_id)).status is BuildStatus.FAILED
    script.deploys.clear()
    script.deployed(ENDPOINT, app_name="shop")
    other.deleted_apps.clear()
    await other.deployments.deploy_spin_app(an_image(function, "3"))
    searching = asyncio.create_task(other.endpoints.run())
    await eventually(lambda: finished(stage))
    await stop(searching)
    assert other.deleted_apps == [("blue", "shop")]
    assert list(await stage.dynamo.places.list_of_function(function.id)) == [Place("default", "shop")]
    assert images(script)[-1] == "3"
