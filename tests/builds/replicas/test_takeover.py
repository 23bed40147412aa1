"""What becomes of builds when the replica that carries them dies, sleeps, or has a clock of its own."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.builds.lookout import JITTER, LOOK_INTERVAL_S
from gateway.records.clock import CLOCK_SKEW_S
from tests.builds.replicas.builder import PacedBuilder, paced_builder
from tests.builds.replicas.platform import LEASE_S, Platform, Replica, platform
from tests.builds.replicas.watching import watch
from tests.builds.samples import eventually

RECOVERED_S = LEASE_S + 5
"""From a replica's death to the end of its builds, when the builder is done with them.

It took 7.2 to 8.4 s on two cores with seven processes waiting for them: most of it is the lease's rest.
"""


async def until_deploying(replica: Replica, builder: PacedBuilder, build_id: str, app: str) -> None:
    """Wait until the builder was asked to deploy."""
    await replica.until(build_id, "DEPLOYING")

    async def asked() -> bool:
        return any(name.startswith(app) for name in builder.deploys)

    await eventually(asked)


async def kill_in_every_state(shared: Platform, builder: PacedBuilder) -> None:
    """Two others race for the builds of a replica that is killed: each is finished in time, and deployed once."""
    owner, other, third = await shared.replicas("owner", "other", "third")
    workspace_id = await owner.create_workspace()
    names = ("unheard", "pending", "building", "pushing", "deploying")
    builder.phases.update(pending="pending", building="building", pushing="pushing")
    upload, deploy = builder.hold("upload", "unheard"), builder.hold("deploy", "deploying")
    ids = dict(
        zip(names, await asyncio.gather(*(owner.deploy(workspace_id, name) for name in names)), strict=True)
    )
    watchers = {name: watch(build_id) for name, build_id in ids.items()}
    following = asyncio.gather(*(watcher.follow(other.url) for watcher in watchers.values()))
    await asyncio.gather(
        owner.until(ids["building"], "BUILDING"),
        owner.until(ids["pushing"], "PUSHING"),
        until_deploying(owner, builder, ids["deploying"], "deploying"),
    )
    assert builder.polls_of("pending") > 0
    assert sum(app.startswith("unheard") for app in builder.uploads) == 1
    owner.kill()
    killed = time.monotonic()
    builder.phases.clear()
    upload.set()
    deploy.set()
    async with asyncio.timeout(RECOVERED_S):
        await following
    assert time.monotonic() - killed > LEASE_S / 2, "a lease that goes on must not be taken"
    phases = ["PENDING", "BUILDING", "PUSHING", "DEPLOYING", "DONE"]
    assert {name: watcher.statuses for name, watcher in watchers.items()} == dict.fromkeys(names, phases)
    assert all(watcher.completed for watcher in watchers.values())
    builds = {name: await third.build(build_id) for name, build_id in ids.items()}
    assert {
        name: len(build["function"]["deployments"]["nodes"]) for name, build in builds.items()
    } == dict.fromkeys(names, 1)
    assert {build["function"]["status"] for build in builds.values()} == {"ACTIVE"}
    assert len(builder.uploads) == len(names)
    again = sorted(builder.deploys)
    assert [sum(app.startswith(name) for app in again) for name in names] == [1, 1, 1, 1, 2]


async def pause_for_longer_than_the_lease(shared: Platform, builder: PacedBuilder) -> None:
    """A replica that slept through its lease neither deploys nor writes: who took the build over goes on alone."""
    owner, other = await shared.replicas("owner", "other")
    builder.phases["hello"] = "building"
    build_id = await owner.deploy(await owner.create_workspace(), "hello")
    await owner.until(build_id, "BUILDING")
    first = await shared.owner_of(build_id)
    owner.served.process.send_signal(signal.SIGSTOP)
    try:
        deploy = builder.hold("deploy", "hello")
        builder.phases["hello"] = "done"
        await until_deploying(other, builder, build_id, "hello")
        assert await shared.owner_of(build_id) not in {None, first}
    finally:
        owner.served.process.send_signal(signal.SIGCONT)
    await owner.build(build_id)  # it is awake
    polls = builder.polls_of("hello")
    await asyncio.sleep(1)
    assert builder.polls_of("hello") - polls <= 1, "at most the poll that it slept in is repeated"
    assert len(builder.deploys) == 1
    deploy.set()
    done = await owner.until(build_id, "DONE")
    assert (done["sequence"], len(done["function"]["deployments"]["nodes"])) == (5, 1)
    assert len(builder.deploys) == 1


async def renew_by_different_clocks(shared: Platform, builder: PacedBuilder) -> None:
    """Replicas whose clocks differ by 2 s keep their builds from each other, and each finishes its own."""
    behind, ahead, exact = await asyncio.gather(
        shared.replica("behind", skew_s=-1), shared.replica("ahead", skew_s=1), shared.replica("exact")
    )
    builder.default = "building"
    workspace_id = await exact.create_workspace()
    builds = await asyncio.gather(
        behind.deploy(workspace_id, "behind"),
        ahead.deploy(workspace_id, "ahead"),
        exact.deploy(workspace_id, "exact"),
    )
    owners = [await shared.owner_of(build_id) for build_id in builds]
    assert len(set(owners) - {None}) == 3
    until = time.monotonic() + LEASE_S + 3
    while time.monotonic() < until:
        await asyncio.sleep(0.5)
        assert [await shared.owner_of(build_id) for build_id in builds] == owners
    builder.default = "done"
    for build_id in builds:
        done = await exact.until(build_id, "DONE")
        assert len(done["function"]["deployments"]["nodes"]) == 1
    assert len(builder.deploys) == 3


def test_recovery_when_its_parts_are_added() -> None:
    """The lease's rest, the clocks' difference and a look leave a second and a half for the work itself."""
    assert RECOVERED_S - (LEASE_S + CLOCK_SKEW_S + LOOK_INTERVAL_S * (1 + JITTER)) > 1.5


async def test_leases_when_replicas_die_sleep_or_differ(aws_server: str, tmp_path: Path) -> None:
    """The three at once, each on a table of its own: most of it is waiting for leases to pass."""

    async def play(scenario: Callable[[Platform, PacedBuilder], Awaitable[None]]) -> None:
        folder = tmp_path / scenario.__name__
        folder.mkdir()
        async with paced_builder() as builder, platform(aws_server, builder.url, folder) as shared:
            await scenario(shared, builder)

    async with asyncio.TaskGroup() as group:
        for scenario in (kill_in_every_state, pause_for_longer_than_the_lease, renew_by_different_clocks):
            group.create_task(play(scenario))
