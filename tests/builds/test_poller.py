"""How builds are carried: what is polled when, what follows, and what goes wrong on the way."""

import asyncio
from dataclasses import replace

import pytest

from gateway.records.builds import BuildKind, BuildRecord, BuildStatus
from gateway.upstream.dynamo.expressions import Put
from tests.builds.samples import START, a_build, an_upload, eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage, staged
from tests.builds.stores import AwsClients
from tests.gateway import NOBODY

POLL = "GET /api/v1/tasks/task-1?workspace_id="

pytestmark = pytest.mark.asyncio(loop_scope="session")


def statuses(build: BuildRecord) -> list[str]:
    """The statuses that a build entered."""
    return [step.status.name for step in build.steps]


async def start(stage: Stage, kind: BuildKind = BuildKind.BUILD_AND_PUSH) -> BuildRecord:
    """A build that the builder has accepted."""
    service = stage.starts
    call = service.start_build if kind is BuildKind.BUILD else service.start_build_and_push
    return await call(workspace_id=stage.workspace_id, upload=an_upload())


async def test_tick_when_the_running_builder_builds(stage: Stage, script: ScriptedBuilder) -> None:
    """The running dialect: `running`, the artifact that shows the push, `completed` and image_uri."""
    build = await start(stage)
    script.says("running")
    script.says("running", result={"wasm_path": "s3://b/app.wasm"})
    script.says("completed", result={"wasm_path": "s3://b/app.wasm", "image_uri": "r.example/f:1"})
    await stage.rounds(3)
    done = await stage.build(build.id)
    assert statuses(done) == ["PENDING", "BUILDING", "PUSHING", "DONE"]
    assert [step.duration_ms for step in done.steps] == [0.0, 6000.0, 6000.0, None]
    assert (done.image_url, done.wasm_path, done.sequence) == ("r.example/f:1", "s3://b/app.wasm", 4)
    assert stage.poller.carried == 0


async def test_tick_when_the_documented_builder_builds(stage: Stage, script: ScriptedBuilder) -> None:
    """The documented dialect: `building`, `pushing`, `done` and image_url."""
    build = await start(stage)
    for status in ("pending", "building", "pushing"):
        script.says(status)
    script.says("done", result={"wasm_path": "s3://b/app.wasm", "image_url": "r.example/f:1"})
    await stage.rounds(4)
    done = await stage.build(build.id)
    assert statuses(done) == ["PENDING", "BUILDING", "PUSHING", "DONE"]
    assert done.image_url == "r.example/f:1"


async def test_tick_when_the_builders_row_knows_more(stage: Stage, script: ScriptedBuilder) -> None:
    """Over HTTP the task is `running` for ever; the builder's own row says that it pushes, and its end."""
    build = await start(stage)
    script.says("running")
    for status in ("PUSHING", "DONE"):
        await stage.dynamo.table.write(builders_row(build, status))
        await stage.rounds(1)
    done = await stage.build(build.id)
    assert statuses(done) == ["PENDING", "BUILDING", "PUSHING", "DONE"]
    assert done.image_url == "r.example/f:1"


def builders_row(build: BuildRecord, status: str) -> Put:
    """The row that the Builder Service writes."""
    return Put(
        item={
            "PK": f"WS#{build.workspace_id}",
            "SK": "BUILD#task-1",
            "task_id": "task-1",
            "status": status,
            "image_url": "r.example/f:1",
            "created_at": "2026-03-01T12:30:00.5",
        }
    )


async def test_tick_when_a_build_is_not_due(stage: Stage, script: ScriptedBuilder) -> None:
    """One poll at once and one an interval, however often the loop comes round."""
    build = await start(stage)
    script.says("running")
    polls = []
    for _ in range(10):
        await stage.round()
        polls.append(script.calls.count(POLL + build.workspace_id))
        stage.clock.advance(seconds=1)
    assert polls == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]


async def test_tick_when_the_builder_answers_nonsense(stage: Stage, script: ScriptedBuilder) -> None:
    """Crashes and garbage are no failure of the build: it is asked again, ever later, up to 30 s."""
    build = await start(stage)
    script.tasks.extend(
        [
            (500, "Internal Server Error"),
            (429, {"detail": "slow down"}),
            (200, '{"task_id": "task-1", "sta'),
            (200, ["no", "object"]),
            (200, {"task_id": "task-1", "status": "confused"}),
        ]
    )
    script.says("completed")
    polled: list[float] = []
    before = len(script.calls)
    for _ in range(130):
        await stage.round()
        if len(script.calls) > before:
            polled.append((stage.clock() - START).total_seconds())
            before = len(script.calls)
        stage.clock.advance(seconds=1)
    assert polled == [0, 10, 30, 60, 90, 120]
    assert (await stage.build(build.id)).status is BuildStatus.DONE


async def test_tick_when_the_builder_is_down(stage: Stage, script: ScriptedBuilder) -> None:
    """The others go on, and the build ends when its time is up and not before."""
    build = await start(stage)
    stage.client.base_url = NOBODY
    await stage.rounds(2, seconds=40)
    assert (await stage.build(build.id)).status is BuildStatus.PENDING
    stage.clock.advance(seconds=600)
    await stage.round()
    failed = await stage.build(build.id)
    reason = "The Builder Service did not answer GET /api/v1/tasks/task-1: All connection attempts failed"
    assert (failed.status, failed.error) == (BuildStatus.FAILED, f"timed out after 10 minutes: {reason}")
    assert script.calls.count(POLL + build.workspace_id) == 0


async def test_tick_when_the_builder_forgot_the_task(stage: Stage, script: ScriptedBuilder) -> None:
    """404 three times in a row, the workspace's list asked each time, is the build's failure."""
    build = await start(stage)
    script.tasks.append((404, {"detail": "Task not found: task-1"}))
    await stage.rounds(2)
    assert (await stage.build(build.id)).status is BuildStatus.PENDING
    await stage.rounds(1)
    failed = await stage.build(build.id)
    assert failed.error == "The Builder Service does not know the task task-1 any more."
    assert (
        script.calls[1:] == [POLL + build.workspace_id, f"GET /api/v1/workspaces/{build.workspace_id}/tasks"] * 3
    )


async def test_tick_when_the_builder_remembers_again(stage: Stage, script: ScriptedBuilder) -> None:
    """Three times in all, but not in a row, is no failure."""
    build = await start(stage)
    unknown = (404, {"detail": "Task not found: task-1"})
    script.tasks.extend([unknown, unknown])
    script.says("running")
    script.tasks.extend([unknown, unknown])
    script.says("running")
    await stage.rounds(6)
    assert (await stage.build(build.id)).status is BuildStatus.BUILDING


async def test_tick_when_only_the_list_knows_the_task(stage: Stage, script: ScriptedBuilder) -> None:
    """A builder that was restarted finds it in the table."""
    build = await start(stage, BuildKind.BUILD)
    script.tasks.append((404, {"detail": "Task not found: task-1"}))
    others = [{"task_id": "x", "status": "??"}, {"task_id": "y", "status": "done"}]
    listed = {"task_id": "task-1", "status": "FAILED", "error": "/tmp/spin_build_1/hello.py:1:1: error: no"}
    script.listed = (200, {"tasks": [*others, listed]})
    await stage.round()
    failed = await stage.build(build.id)
    assert (failed.status, failed.error) == (BuildStatus.FAILED, "hello.py:1:1: error: no")


async def test_tick_when_another_has_changed_the_build(stage: Stage, script: ScriptedBuilder) -> None:
    """What is stored stands, and is what is carried on from there."""
    build = await start(stage)
    other = replace(build, status=BuildStatus.CANCELLED, sequence=2, finished_at=START)
    await stage.dynamo.builds.advance(build, other)
    script.says("completed")
    await stage.round()
    assert (await stage.build(build.id)).status is BuildStatus.CANCELLED
    assert stage.poller.carried == 0


async def test_tick_when_the_workspace_was_deleted(stage: Stage, script: ScriptedBuilder) -> None:
    """The build is let go, and its row is not brought back."""
    build = await start(stage)
    await stage.dynamo.builds.delete_of_workspace(stage.workspace_id)
    script.says("completed")
    await stage.round()
    assert stage.poller.carried == 0
    assert await stage.dynamo.builds.get(build.id) is None


async def test_tick_when_there_are_more_builds_than_slots(aws: AwsClients, script: ScriptedBuilder) -> None:
    """No more are polled at once than there are slots; the others wait for one, and all get their turn."""
    async with staged(aws, script.url, concurrency=2) as stage:
        builds = [await start(stage) for _ in range(5)]
        script.says("completed")
        script.released = asyncio.Event()
        started = len(script.calls)
        polling = asyncio.create_task(stage.round())

        async def two_polls() -> bool:
            return len(script.calls) - started == 2

        await eventually(two_polls)
        await asyncio.sleep(0.05)
        assert await two_polls()
        script.released.set()
        await polling
        assert {(await stage.build(build.id)).status for build in builds} == {BuildStatus.DONE}


async def test_tick_when_all_polls_hang(aws: AwsClients, script: ScriptedBuilder) -> None:
    """What is to be handed over waits for none of them."""
    async with staged(aws, script.url, concurrency=1) as stage:
        for _ in range(2):
            await start(stage)
        script.says("completed")
        script.released = asyncio.Event()
        polling = asyncio.create_task(stage.round())
        await asyncio.sleep(0)
        function = await stage.create_function()
        await stage.deployments.deploy_function(function.id, namespace="default")
        submitting = asyncio.create_task(stage.round())

        async def submitted() -> bool:
            return script.calls[-1] == "POST /api/v1/build-and-push"

        await eventually(submitted)
        assert len([call for call in script.calls if call.startswith(POLL)]) == 1
        script.released.set()
        await asyncio.gather(polling, submitting)


async def test_tick_when_a_build_times_out_after_trouble(stage: Stage, script: ScriptedBuilder) -> None:
    """Trouble that is over is not the reason."""
    build = await start(stage)
    script.tasks.append((503, "busy"))
    script.says("running")
    await stage.rounds(2, seconds=31)
    stage.clock.advance(seconds=600)
    await stage.round()
    assert (await stage.build(build.id)).error == "timed out after 10 minutes"


async def accepted_build(stage: Stage) -> BuildRecord:
    """A build that the builder has, and that nobody follows yet."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id))
    return await stage.dynamo.builds.accept(build, "task-1", None)


async def test_tick_when_a_step_breaks(stage: Stage, script: ScriptedBuilder) -> None:
    """What nobody expected in one build is logged and put off: the other build goes on."""
    impossible = replace(await accepted_build(stage), steps=())  # a build has entered something
    stage.poller.follow(impossible)
    other = await start(stage)
    script.says("completed")
    await stage.round()
    assert (await stage.build(other.id)).status is BuildStatus.DONE
    assert stage.poller.carried == 1
