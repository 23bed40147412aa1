"""Builds that nobody waits for, while the builder is away, takes nothing, or does not say what it took."""

import asyncio

import pytest

from gateway.records.builds import BuildKind, BuildRecord, BuildStatus
from gateway.records.functions import FunctionStatus
from tests.builds.samples import SOURCE, eventually
from tests.builds.script import ACCEPTED, ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_handover import TASK, a_row, left, listed, taken_over
from tests.builds.test_pipeline import IMAGE
from tests.gateway import NOBODY

pytestmark = pytest.mark.asyncio(loop_scope="session")

AWAY_S = 31
"""Longer than any step is put off."""


async def deploy(stage: Stage) -> BuildRecord:
    """A deploy that was just started, of a function that never ran."""
    function = await stage.create_function()
    return await stage.deployments.deploy_function(function.id, namespace="default")


async def test_submit_when_nothing_listens(stage: Stage, script: ScriptedBuilder) -> None:
    """It stays PENDING, and is handed over once when the builder is back."""
    build = await deploy(stage)
    stage.client.base_url = NOBODY
    await stage.rounds(3, seconds=AWAY_S)
    waiting = await stage.build(build.id)
    assert (waiting.status, waiting.sent_by) == (BuildStatus.PENDING, None)
    assert (await stage.function(build.function_id or "")).status is FunctionStatus.BUILDING
    stage.client.base_url = script.url
    script.says("completed", result=IMAGE)
    script.deployed("hello.default.svc.cluster.local")
    await stage.rounds(4)
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    assert len(script.forms) == 1


async def test_submit_when_nothing_listens_for_ten_minutes(stage: Stage, script: ScriptedBuilder) -> None:
    """It fails when its time is up, and says what was wrong."""
    build = await deploy(stage)
    stage.client.base_url = NOBODY
    await stage.rounds(21, seconds=AWAY_S)
    failed = await stage.build(build.id)
    assert failed.error == (
        "timed out after 10 minutes: The Builder Service did not answer POST /api/v1/build-and-push: "
        "All connection attempts failed"
    )
    assert (await stage.function(build.function_id or "")).status is FunctionStatus.FAILED
    assert script.calls == []


@pytest.mark.parametrize("status", [429, 503])
async def test_submit_when_the_builder_takes_nothing(stage: Stage, script: ScriptedBuilder, status: int) -> None:
    """It was surely not accepted: the same process sends it again, and so may any other."""
    builds = [await deploy(stage), await deploy(stage)]
    script.upload = (status, {"detail": "try again"})
    await stage.rounds(1, seconds=AWAY_S)
    waiting = [await stage.build(build.id) for build in builds]
    assert [(build.status, build.sent_by) for build in waiting] == [(BuildStatus.PENDING, None)] * 2
    script.upload = ACCEPTED
    await stage.leases.give_up(builds[1].id)
    await stage.round()
    other = stage.replica("replica-2")
    await other.lookout.look()
    await other.round()
    assert [(await stage.build(build.id)).builder_task_id for build in builds] == ["task-1"] * 2
    assert len(script.forms) == 4
    assert [call for call in script.calls if "tasks" in call] == []


@pytest.mark.parametrize("answer", [(502, "Bad Gateway"), (504, ""), (202, '{"task_id": "tas'), (202, {})])
async def test_submit_when_nobody_says_what_became_of_it(
    stage: Stage, script: ScriptedBuilder, answer: tuple[int, object]
) -> None:
    """The builder may have it: its task is looked for, and it is not sent again."""
    build = await deploy(stage)
    script.upload = answer
    await stage.rounds(1, seconds=AWAY_S)
    script.upload = ACCEPTED
    await stage.rounds(1, seconds=AWAY_S)
    assert (await stage.build(build.id)).status is BuildStatus.PENDING
    script.listed = listed(a_row(TASK, app_name=build.app_name))
    await stage.rounds(1)
    assert (await stage.build(build.id)).builder_task_id == TASK
    assert len(script.forms) == 1


async def test_submit_when_the_builder_never_had_it(stage: Stage, script: ScriptedBuilder) -> None:
    """After a minute without a task it fails, and says why."""
    build = await deploy(stage)
    script.upload = (502, "Bad Gateway")
    await stage.rounds(6, seconds=AWAY_S)
    assert (await stage.build(build.id)).error == (
        "was never accepted by the builder: no answer came, and no task there is surely this build's. "
        "Start it again."
    )
    assert len(script.forms) == 1


async def test_submit_when_the_builder_refuses(stage: Stage, script: ScriptedBuilder) -> None:
    """It fails with the builder's words, made fit for people."""
    build = await deploy(stage)
    script.upload = (
        500,
        "AttributeError: /tmp/spin_build_1/app.py has no attribute 'IncomingHandler', -p hunter2",
    )
    await stage.rounds(1)
    error = (await stage.build(build.id)).error or ""
    words = "The Builder Service answered 500: AttributeError: app.py has no attribute 'IncomingHandler', -p ***"
    assert error.startswith(f"{words}\nhint: a function is a module with this class:")


async def test_resume_when_nothing_listens(stage: Stage, script: ScriptedBuilder) -> None:
    """What was uploaded or is to be pushed waits for the builder too: nothing was sent."""
    kinds = (BuildKind.BUILD, BuildKind.BUILD_AND_PUSH, BuildKind.PUSH)
    ids = [await left(stage, kind, expected_image="r.example/app:v1", tag="v1") for kind in kinds]
    after = await taken_over(stage)
    stage.client.base_url = NOBODY
    await after.rounds(2, seconds=AWAY_S)
    waiting = [await stage.build(build_id) for build_id in ids]
    assert [(build.status, build.sent_by) for build in waiting] == [(BuildStatus.PENDING, None)] * 3
    stage.client.base_url = script.url
    script.deploys.append(ACCEPTED)
    await after.round()
    assert [(await stage.build(build_id)).builder_task_id for build_id in ids] == ["task-1"] * 3
    assert [form["file"] for form in script.forms] == [("hello.py", SOURCE)] * 2
    assert len(script.bodies) == 1


async def test_resume_when_the_builder_takes_nothing(stage: Stage, script: ScriptedBuilder) -> None:
    """A push that was refused for now is asked for again."""
    build_id = await left(stage, BuildKind.PUSH, expected_image="r.example/app:v1", tag="v1")
    after = await taken_over(stage)
    script.deploys.append((503, {"detail": "later"}))
    script.deploys.append(ACCEPTED)
    await after.rounds(2, seconds=AWAY_S)
    assert (await stage.build(build_id)).builder_task_id == "task-1"


async def test_cancel_when_the_builder_takes_nothing(stage: Stage, script: ScriptedBuilder) -> None:
    """A build that is cancelled before the builder's refusal stays so."""
    build = await deploy(stage)
    script.upload = (503, "busy")
    script.released = asyncio.Event()
    sending = asyncio.create_task(stage.round())

    async def called() -> bool:
        return bool((await stage.build(build.id)).sent_by)

    await eventually(called)
    await stage.replica("replica-2").cancellations.cancel(build.id)
    script.released.set()
    await sending
    assert (await stage.build(build.id)).status is BuildStatus.CANCELLED
    assert stage.poller.carried == 0


async def test_drain_when_the_builder_is_away(stage: Stage, script: ScriptedBuilder) -> None:
    """What was tried in vain is another's at once, which hands it over."""
    build = await deploy(stage)
    stage.client.base_url = NOBODY
    await stage.round()
    draining = asyncio.create_task(stage.poller.drain())
    await asyncio.sleep(0)
    await stage.round()
    async with asyncio.timeout(1):
        await draining
    assert stage.leases.held == frozenset()
    stage.client.base_url = script.url
    other = stage.replica("replica-2")
    await other.lookout.look()
    await other.round()
    assert (await stage.build(build.id)).builder_task_id == "task-1"
