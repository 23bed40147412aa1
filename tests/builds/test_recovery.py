"""The loops of a replica: what they take up when they start, and what wakes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from gateway.builds.background import keep_running
from gateway.builds.carrier import BuildCarrier
from gateway.builds.journey import Journey
from gateway.builds.poller import BuildPoller
from gateway.records.builds import BuildKind, BuildRecord
from tests.builds.samples import START, a_build, a_spec, an_upload, eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """Run the loops for the block."""
    loops = [asyncio.create_task(run()) for run in (stage.poller.run, stage.lookout.run)]
    try:
        yield
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
    assert all(loop.cancelled() for loop in loops)


async def end_of(stage: Stage, build_id: str) -> BuildRecord:
    """The build once it is finished."""
    with stage.feed.watch(build_id) as watcher:
        async with asyncio.timeout(5):
            return [event async for event in watcher][-1].build


async def test_run_when_builds_were_left_unfinished(stage: Stage, script: ScriptedBuilder) -> None:
    """They are taken up: one that the builder has goes on, one that it never got is ended."""
    script.says("completed", result={"image_uri": "r.example/f:1"})
    accepted, lost = a_build(workspace_id=stage.workspace_id), a_build(workspace_id=stage.workspace_id)
    for build in (accepted, lost):
        await stage.dynamo.builds.create(build, lease_until=START)
    await stage.dynamo.builds.accept(accepted, "task-1", None)
    async with running(stage):
        ends = [await end_of(stage, build.id) for build in (accepted, lost)]
    assert [(build.status.name, build.error) for build in ends] == [
        ("DONE", None),
        ("FAILED", "was never accepted by the builder"),
    ]
    assert await stage.dynamo.builds.list_unfinished() == []


async def test_run_when_deploys_were_left_unfinished(stage: Stage, script: ScriptedBuilder) -> None:
    """One that nobody handed over is handed over, once; one that was built is deployed, once."""
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deployed("hello.default.svc.cluster.local", app_name=None)
    built, unsent = await stage.create_function(), await stage.create_function()
    deploying = await stage.deployments.deploy_function(built.id, namespace="default")
    await stage.rounds(2)
    assert (await stage.build(deploying.id)).status.name == "DEPLOYING"
    stored = a_build(BuildKind.DEPLOY, workspace_id=stage.workspace_id, function_id=unsent.id, deploy=a_spec())
    await stage.journal.create(stored)
    after = stage.restarted()
    async with running(after):
        ends = [await end_of(after, build.id) for build in (deploying, stored)]
    assert [(build.status.name, build.error) for build in ends] == [("DONE", None)] * 2
    assert (len(script.forms), len(script.bodies)) == (2, 2)
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, built.id, first=5, after=None)
    assert [item.id for item in page.items] == [ends[0].deployment_id]


async def test_run_when_a_build_is_started(stage: Stage, script: ScriptedBuilder) -> None:
    """It is polled at once: the loop does not sleep on."""
    script.says("completed")
    async with running(stage):
        await asyncio.sleep(0.05)
        build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
        async with asyncio.timeout(2):
            assert (await end_of(stage, build.id)).status.name == "DONE"


async def test_run_when_a_step_dies(stage: Stage, script: ScriptedBuilder) -> None:
    """A step that is cancelled by nobody's wish is taken again: the loop and the build live on."""
    script.says("completed")
    script.released = asyncio.Event()
    stage.poller.follow(await handed_over(stage))
    async with running(stage):
        await until_called(script, 1)
        (step,) = [task for task in asyncio.all_tasks() if task.get_name().startswith("build ")]
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        assert stage.poller.carried == 1
        script.released.set()
        stage.clock.advance(seconds=11)
        stage.poller.follow(await handed_over(stage))  # wakes the loop

        async def all_done() -> bool:
            return stage.poller.carried == 0

        await eventually(all_done)
    assert len(script.calls) == 3


class BreakingCarrier:
    """Whatever step is taken, it breaks like this."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.steps = 0

    async def carry(self, journey: Journey) -> BuildRecord | None:
        """Break."""
        assert journey.build.sequence == 1
        self.steps += 1
        raise self.error


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), BaseException("nobody's")])
async def test_tick_when_a_step_raises_what_is_no_exception(stage: Stage, error: BaseException) -> None:
    """It is contained as any other error is, and the step is put off."""
    carrier = BreakingCarrier(error)
    poller = BuildPoller(
        cast("BuildCarrier", carrier), stage.leases, interval_s=5, concurrency=1, monotonic=lambda: 0.0
    )
    poller.follow(await handed_over(stage))
    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            poller.tick(group)
    assert (carrier.steps, poller.carried) == (1, 1)


class BreakingClock:
    """A clock that can break, and with it every round."""

    def __init__(self) -> None:
        self.now = 0.0
        self.broken = False

    def __call__(self) -> float:
        """The time it shows."""
        if self.broken:
            raise RuntimeError("no clock")
        return self.now


async def test_run_when_a_round_fails(stage: Stage) -> None:
    """The loop goes on; readiness sees how long ago a round went well."""
    clock, carrier = BreakingClock(), BreakingCarrier(OSError())
    poller = BuildPoller(
        cast("BuildCarrier", carrier),
        stage.leases,
        interval_s=5,
        concurrency=1,
        monotonic=clock,
        jitter=lambda: 0.5,
    )
    poller.follow(await handed_over(stage))
    clock.now, clock.broken = 75.0, True
    loop = asyncio.create_task(keep_running("the poller", poller.run))
    await asyncio.sleep(0.05)
    clock.broken = False
    assert (poller.age_s, carrier.steps) == (75.0, 0)
    poller.follow(await handed_over(stage))  # wakes the loop

    async def stepped() -> bool:
        return carrier.steps == 2

    await eventually(stepped)
    assert poller.age_s == 0.0
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_keep_running_when_a_loop_ends() -> None:
    """It is started again, whatever ended it, until it is cancelled itself."""
    ends: list[BaseException | None] = [None, OSError(), SystemExit(1), asyncio.CancelledError(), None]

    async def run() -> None:
        if not ends:
            await asyncio.Event().wait()
        end = ends.pop()
        if end is not None:
            raise end

    loop = asyncio.create_task(keep_running("a loop", run, restart_s=0))

    async def all_over() -> bool:
        return not ends

    await eventually(all_over)
    await asyncio.sleep(0.01)
    assert not loop.done()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_drain_when_builds_are_polled(stage: Stage, script: ScriptedBuilder) -> None:
    """A poll under way is cut, and the builds are anybody's at once."""
    script.says("running")
    script.released = asyncio.Event()
    for _ in range(3):
        stage.poller.follow(await handed_over(stage))
    async with running(stage):
        await until_called(script, 3)
        async with asyncio.timeout(2):
            first = asyncio.create_task(stage.poller.drain())
            await asyncio.sleep(0.001)  # the leases are being given up
            await stage.poller.drain()
            await first
        script.released.set()
        assert stage.leases.held == frozenset()
        await stage.lookout.look()
        assert stage.poller.carried == 0, "a replica that stops takes nothing over"
    other = stage.replica("replica-2")
    await other.lookout.look()
    assert other.poller.carried == 3


async def test_drain_when_a_deploy_is_handed_over(stage: Stage, script: ScriptedBuilder) -> None:
    """An upload under way ends before its build is another's; so does one that begins while it drains."""
    first, second = await stage.create_function(), await stage.create_function()
    script.released = asyncio.Event()
    async with running(stage):
        builds = [await stage.deployments.deploy_function(first.id, namespace="default")]
        await until_called(script, 1)
        draining = asyncio.create_task(stage.poller.drain())
        builds.append(await stage.deployments.deploy_function(second.id, namespace="default"))
        await until_called(script, 2)
        assert not draining.done()
        assert stage.leases.held == {build.id for build in builds}
        script.released.set()
        async with asyncio.timeout(5):
            await draining
        assert stage.leases.held == frozenset()
    assert [(await stage.build(build.id)).builder_task_id for build in builds] == ["task-1"] * 2


async def handed_over(stage: Stage) -> BuildRecord:
    """A build that the builder has."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id, created_at=stage.clock()))
    accepted = await stage.journal.accept(build, "task-1", None)
    assert accepted is not None
    return accepted


async def until_called(script: ScriptedBuilder, count: int) -> None:
    """Wait until the builder was called so often."""

    async def called() -> bool:
        return len(script.calls) >= count

    await eventually(called)


async def test_age_when_no_round_begins(stage: Stage) -> None:
    """Readiness sees how long ago the loop was alive."""
    await stage.round()
    stage.clock.advance(seconds=75)
    assert stage.poller.age_s == 75.0
    await stage.round()
    assert stage.poller.age_s == 0.0
