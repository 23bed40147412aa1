"""One call of the builder for a function at a time: what is refused meanwhile, and what waits."""

import asyncio

import pytest

from gateway.errors import ConflictError
from gateway.records.builder import DeployRequest
from gateway.records.builds import DeploymentRecord
from gateway.records.functions import FunctionRecord
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENDPOINT = "hello.default.svc.cluster.local"


def an_image(function: FunctionRecord, tag: str = "1", **changes: object) -> DeployRequest:
    """An image of a function."""
    given = {"namespace": "default", "image_ref": f"r.example/f:{tag}", "function_id": function.id} | changes
    return DeployRequest(**given)  # type: ignore[arg-type]  # what a test gives


def images(script: ScriptedBuilder) -> list[str]:
    """The tags of what the builder was asked to deploy."""
    return [body["image_ref"].rpartition(":")[2] for body in script.bodies]


async def stored(stage: Stage, function: FunctionRecord) -> list[DeploymentRecord]:
    """The function's deployments, newest first."""
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=9, after=None)
    return list(page.items)


async def called(script: ScriptedBuilder, times: int) -> None:
    """Wait until the builder was asked to deploy so often."""

    async def asked() -> bool:
        return script.calls.count("POST /api/v1/deploy") >= times

    await eventually(asked)


async def test_deploy_spin_app_when_another_runs(stage: Stage, script: ScriptedBuilder) -> None:
    """On whatever replica: CONFLICT names the image; deployFunction too. The builder is called once."""
    function, other = await stage.create_function(), stage.replica("replica-2")
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    first = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function)))
    await called(script, 1)
    seconds = (
        stage.deployments.deploy_spin_app(an_image(function, "2")),
        other.deployments.deploy_spin_app(an_image(function, "2")),
        other.deployments.deploy_function(function.id, namespace="default"),
    )
    async with asyncio.timeout(20):  # the builder answers none of them
        outcomes = await asyncio.gather(*seconds, return_exceptions=True)
    for refused in outcomes:
        assert isinstance(refused, ConflictError)
        assert "is under way: the image r.example/f:1" in refused.message
        assert refused.message.endswith("; wait for its end.")
        details = {"imageRef": "r.example/f:1", "startedAt": "2026-03-01T12:30:00.000+00:00"}
        assert refused.details == details
    script.released.set()
    deployment = await first
    assert await stored(stage, function) == [deployment]
    assert images(script) == ["1"]
    assert await stage.dynamo.holds.get(function.id) is None


async def test_deploy_spin_app_when_many_start_at_once(stage: Stage, script: ScriptedBuilder) -> None:
    """Eight at once on two replicas: one deploys, and is stored; the others are refused while it is at it."""
    function, other = await stage.create_function(), stage.replica("replica-2")
    script.deployed(ENDPOINT)
    script.released = asyncio.Event()
    calls = [
        asyncio.create_task(replica.deployments.deploy_spin_app(an_image(function, str(number))))
        for number, replica in enumerate([stage, other] * 4)
    ]

    async def seven_ended() -> bool:
        return sum(call.done() for call in calls) == 7

    await eventually(seven_ended)
    for call in filter(asyncio.Task.done, calls):
        assert "is under way: the image" in str(call.exception())
    script.released.set()
    (made,) = [await call for call in calls if not call.done()]
    assert images(script) == [made.image_url.rpartition(":")[2]]
    assert await stored(stage, function) == [made]
    assert (await stage.function(function.id)).current_deployment_id == made.id


async def test_deploy_spin_app_when_an_endpoint_is_sought_at_this_moment(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """It waits for that call, which is the search's last: the older image is not asked for any more."""
    function = await stage.create_function()
    script.deployed()
    await stage.deployments.deploy_spin_app(an_image(function, "1"))
    script.released = asyncio.Event()
    searching = asyncio.create_task(stage.endpoints.run())
    await called(script, 2)
    stage.clock.advance(seconds=1)
    following = asyncio.create_task(
        stage.replica("replica-2").deployments.deploy_spin_app(an_image(function, "2"))
    )
    await asyncio.sleep(0.5)
    assert not following.done()
    script.released.set()
    newest = await following
    await asyncio.sleep(0.2)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert images(script)[-1] == "2"
    assert images(script).index("2") == images(script).count("1")
    assert (await stage.function(function.id)).current_deployment_id == newest.id


async def test_roll_back_when_an_endpoint_is_sought_at_this_moment(stage: Stage, script: ScriptedBuilder) -> None:
    """The build starts at once, and its deploy waits for the call."""
    function = await stage.create_function()
    script.deployed(ENDPOINT)
    oldest = await stage.deployments.deploy_spin_app(an_image(function, "1"))
    stage.clock.advance(seconds=1)
    script.deploys.clear()
    script.deployed()
    await stage.deployments.deploy_spin_app(an_image(function, "2"))
    script.released = asyncio.Event()
    searching = asyncio.create_task(stage.endpoints.run())
    await called(script, 3)
    stage.clock.advance(seconds=1)
    build = await stage.rollbacks.roll_back(function.id, oldest.id)
    deploying = asyncio.create_task(stage.round())
    await asyncio.sleep(0.5)
    assert images(script) == ["1", "2"]  # the search's call is held, and no other was made
    assert script.calls.count("POST /api/v1/deploy") == 3
    script.deploys.clear()
    script.deployed(ENDPOINT)
    script.released.set()
    await deploying
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert images(script) == ["1", "2", "2", "1"]
    done = await stage.build(build.id)
    assert (done.status.name, done.error) == ("DONE", None)


async def test_deploy_spin_app_when_a_cancelled_build_deploys_still(stage: Stage, script: ScriptedBuilder) -> None:
    """It waits for the cancelled build's call, so that the newer image is the one that stays."""
    function = await stage.create_function()
    script.says("completed", result={"image_uri": "r.example/f:build"})
    script.deployed(ENDPOINT)
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    script.released = asyncio.Event()
    deploying = asyncio.create_task(stage.round())
    await called(script, 1)
    await stage.cancellations.cancel(build.id)
    following = asyncio.create_task(stage.deployments.deploy_spin_app(an_image(function, "2")))
    await asyncio.sleep(0.5)
    assert script.calls.count("POST /api/v1/deploy") == 1
    script.released.set()
    await deploying
    await following
    assert images(script) == ["build", "2"]
