"""Cancelling builds, by whatever replica, in every state."""

import asyncio

import pytest

from gateway.errors import ConflictError, InvalidInputError, NotFoundError
from gateway.records.builds import BuildStatus
from gateway.records.functions import FunctionStatus
from tests.builds.samples import an_upload, eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_pipeline import IMAGE, deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")
ENDPOINT = "hello.default.svc.cluster.local"


async def test_cancel_when_it_is_built(stage: Stage, script: ScriptedBuilder) -> None:
    """It has a last step, is in the list of unfinished builds no more, and is not polled any more."""
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    script.says("running")
    await stage.rounds(1)
    polls = len(script.calls)
    cancelled = await stage.cancellations.cancel(build.id)
    assert [step.status.name for step in cancelled.steps] == ["PENDING", "BUILDING", "CANCELLED"]
    assert cancelled == await stage.build(build.id)
    assert (cancelled.sequence, cancelled.error, cancelled.finished_at) == (3, None, stage.clock())
    await stage.rounds(3)
    assert len(script.calls) == polls
    assert stage.poller.carried == 0
    assert await stage.dynamo.builds.list_unfinished() == []


async def test_cancel_when_another_replica_carries_it(stage: Stage, script: ScriptedBuilder) -> None:
    """The owner learns of it by the condition of its next write; what it saw does not count any more."""
    function = await stage.create_function()
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    script.says("running")
    await stage.rounds(2)
    await stage.replica("replica-2").cancellations.cancel(build.id)
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)
    await stage.rounds(3)
    after = await stage.build(build.id)
    assert after.status is BuildStatus.CANCELLED
    assert stage.poller.carried == 0
    assert script.bodies == []


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("ran_before", [False, True])
async def test_cancel_when_it_deploys(
    stage: Stage, script: ScriptedBuilder, ran_before: bool, rounds: int
) -> None:
    """The function is free again and as it was: what ran before is still up. It may be deployed at once."""
    function = await stage.create_function()
    if ran_before:
        await deployed(stage, script, function)
        script.deploys.clear()
    script.says("completed", result=IMAGE)
    script.deployed()  # no endpoint: it stays in DEPLOYING
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(rounds)
    deploys = len(script.bodies)
    await stage.cancellations.cancel(build.id)
    after = await stage.function(function.id)
    assert after.active_build_id is None
    assert after.status is (FunctionStatus.ACTIVE if ran_before else FunctionStatus.FAILED)
    await stage.rounds(3)
    assert len(script.bodies) == deploys
    again = await stage.deployments.deploy_function(function.id, namespace="default")
    assert (await stage.function(function.id)).active_build_id == again.id


async def test_cancel_when_the_builder_deploys_at_this_moment(stage: Stage, script: ScriptedBuilder) -> None:
    """What it answers is not taken: there is no deployment, and the build stays cancelled."""
    function = await stage.create_function()
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    script.released = asyncio.Event()
    before = len(script.calls)
    deploying = asyncio.create_task(stage.round())

    async def called() -> bool:
        return len(script.calls) > before

    await eventually(called)
    await stage.cancellations.cancel(build.id)
    script.released.set()
    await deploying
    assert (await stage.build(build.id)).status is BuildStatus.CANCELLED
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=5, after=None)
    assert page.items == ()
    assert (await stage.function(function.id)).current_deployment_id is None


async def test_cancel_when_many_try_at_once(stage: Stage) -> None:
    """It is cancelled once; each of them is told so, or that it is finished."""
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    replicas = [stage, stage.replica("replica-2"), stage.replica("replica-3")]
    outcomes = await asyncio.gather(
        *(replica.cancellations.cancel(build.id) for replica in replicas), return_exceptions=True
    )
    after = await stage.build(build.id)
    assert (after.status, after.sequence) == (BuildStatus.CANCELLED, 2)
    assert after in outcomes
    assert all(outcome == after or isinstance(outcome, ConflictError) for outcome in outcomes)


async def test_cancel_when_it_is_finished(stage: Stage, script: ScriptedBuilder) -> None:
    """CONFLICT says how it ended, and it stays so."""
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    script.says("completed")
    await stage.rounds(1)
    with pytest.raises(ConflictError, match=f"The build {build.id} is finished: DONE.") as caught:
        await stage.cancellations.cancel(build.id)
    assert caught.value.details == {"status": "DONE"}
    assert (await stage.build(build.id)).status is BuildStatus.DONE


async def test_cancel_when_there_is_none(stage: Stage) -> None:
    """NOT_FOUND, or VALIDATION_ERROR for what is no id."""
    with pytest.raises(NotFoundError):
        await stage.cancellations.cancel("no-such-build")
    with pytest.raises(InvalidInputError):
        await stage.cancellations.cancel("../../x")
