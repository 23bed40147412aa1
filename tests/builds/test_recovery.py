"""The poller's loop: what it takes up when it starts, and what wakes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.records.builds import BuildKind, BuildRecord
from tests.builds.samples import START, a_build, a_spec, an_upload
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """Run the loop for the block."""
    loop = asyncio.create_task(stage.poller.run())
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
    assert loop.cancelled()


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
    """One that was not handed over is ended, never handed over; one that was built is deployed, once."""
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deployed("hello.default.svc.cluster.local")
    built, lost = await stage.create_function(), await stage.create_function()
    deploying = await stage.deployments.deploy_function(built.id, namespace="default")
    await stage.rounds(2)
    assert (await stage.build(deploying.id)).status.name == "DEPLOYING"
    stored = a_build(BuildKind.DEPLOY, workspace_id=stage.workspace_id, function_id=lost.id, deploy=a_spec())
    await stage.journal.create(stored)
    after = stage.restarted()
    async with running(after):
        ends = [await end_of(after, build.id) for build in (deploying, stored)]
    assert [(build.status.name, build.error) for build in ends] == [
        ("DONE", None),
        ("FAILED", "was never accepted by the builder"),
    ]
    assert (len(script.forms), len(script.bodies)) == (1, 1)
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


async def test_age_when_no_round_begins(stage: Stage) -> None:
    """Readiness sees how long ago the loop was alive."""
    await stage.round()
    stage.clock.advance(seconds=75)
    assert stage.poller.age_s == 75.0
    await stage.round()
    assert stage.poller.age_s == 0.0
