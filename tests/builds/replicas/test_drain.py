"""What becomes of builds, and of those who watch them, when a replica gets SIGTERM."""

import asyncio
import signal
import time

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import Platform
from tests.builds.replicas.watching import watch, watch_workspace
from tests.builds.samples import eventually

SUBSCRIBERS = 500
SERVICE_RESTART = 1012
"""The code that clients take as: connect again."""


async def test_drain_when_500_subscribe(shared: Platform, builder: PacedBuilder) -> None:
    """All are told to connect again, and elsewhere they go on without a gap or a repeat; the build does too."""
    drained, other = await shared.replicas("drained", "other")
    builder.phases["hello"] = "building"
    workspace_id = await drained.create_workspace()
    build_id = await drained.deploy(workspace_id, "hello")
    await drained.until(build_id, "BUILDING")
    watchers = [watch(build_id) for _ in range(SUBSCRIBERS)]
    following = [asyncio.create_task(watcher.follow(drained.url)) for watcher in watchers]

    async def all_there() -> bool:
        return all(watcher.sequences == [1, 2] for watcher in watchers)

    await eventually(all_there, seconds=30)
    first = await shared.owner_of(build_id)
    drained.served.process.send_signal(signal.SIGTERM)
    signalled = time.monotonic()

    async def taken_over() -> bool:
        return await shared.owner_of(build_id) not in {None, first}

    await eventually(taken_over, seconds=4)
    handed_over_s = time.monotonic() - signalled
    async with asyncio.timeout(10):
        await asyncio.gather(*following)
    assert await drained.stopped() == 0
    assert time.monotonic() - signalled < 10, "it waits for nobody who only watches"
    assert handed_over_s < 2.5, "not before the lease has passed, but at once"
    assert {watcher.closed for watcher in watchers} == {SERVICE_RESTART}
    assert not any(watcher.completed for watcher in watchers)
    builder.phases["hello"] = "done"
    async with asyncio.timeout(30):
        await asyncio.gather(*(watcher.follow(other.url) for watcher in watchers))
    assert all(watcher.completed for watcher in watchers)
    assert {tuple(watcher.sequences) for watcher in watchers} == {(1, 2, 3, 4, 5)}
    assert "Traceback" not in shared.log_of("drained")


async def test_drain_when_a_deploy_is_under_way(shared: Platform, builder: PacedBuilder) -> None:
    """The call that deploys is ended before the replica is, and made once."""
    drained, other = await shared.replicas("drained", "other")
    workspace_id = await drained.create_workspace()
    deploy = builder.hold("deploy", "hello")
    build_id = await drained.deploy(workspace_id, "hello")

    async def deploying() -> bool:
        return len(builder.deploys) == 1

    await eventually(deploying)
    drained.served.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(1.5)  # a look of the other replica
    assert drained.served.process.poll() is None
    deploy.set()
    done = await other.until(build_id, "DONE")
    assert len(done["function"]["deployments"]["nodes"]) == 1
    assert await drained.stopped() == 0
    assert len(builder.deploys) == 1


async def test_watch_when_the_build_is_another_replicas(shared: Platform, builder: PacedBuilder) -> None:
    """Each change is seen within 1.5 s after it was stored, on the owner at once, by build and by workspace."""
    owner, other = await shared.replicas("owner", "other")
    workspace_id = await owner.create_workspace()
    everything = [watch_workspace(workspace_id) for _ in range(2)]
    watching = [
        asyncio.create_task(everything[0].follow(owner.url)),
        asyncio.create_task(everything[1].follow(other.url)),
    ]
    await asyncio.sleep(1)
    builder.phases["hello"] = "pending"
    build_id = await owner.deploy(workspace_id, "hello")
    watchers = [watch(build_id), watch(build_id)]
    following = asyncio.gather(watchers[0].follow(owner.url), watchers[1].follow(other.url))
    for phase in ("building", "pushing", "done"):
        await asyncio.sleep(0.7)
        builder.phases["hello"] = phase
    async with asyncio.timeout(10):
        await following

    async def all_seen() -> bool:
        return all(watcher.sequences == [1, 2, 3, 4, 5] for watcher in everything)

    await eventually(all_seen)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    assert [watcher.sequences for watcher in watchers] == [[1, 2, 3, 4, 5]] * 2
    here, elsewhere = (
        [*by_build.delays_s[1:], *all_.delays_s[1:]] for by_build, all_ in zip(watchers, everything, strict=True)
    )
    assert max(elsewhere) < 1.5, elsewhere
    assert max(here) < 0.5, here
