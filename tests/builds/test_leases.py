"""Who may carry a build: leases taken, renewed, lost and given up, between replicas on one table."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.records.builds import ActiveBuild, BuildKind, BuildRecord, BuildStatus, Lease, LeaseLostError
from gateway.upstream.dynamo.expressions import Update
from gateway.upstream.dynamo.keys import INDEX_PK, INDEX_SK, build_pointer_key
from tests.builds.samples import START, a_build, a_spec
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import LEASE_S, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def a_lease(stage: Stage, build_id: str) -> Lease | None:
    """The lease of an unfinished build, as it is stored."""
    return next(active.lease for active in await stage.dynamo.builds.leases.list_active() if active.id == build_id)


async def accepted(stage: Stage) -> BuildRecord:
    """A build that the builder has and this replica carries."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id, created_at=stage.clock()))
    stored = await stage.journal.accept(build, "task-1", None)
    assert stored is not None
    stage.poller.follow(stored)
    return stored


def lease(second: float, owner: str = "replica-1") -> Lease:
    """A lease that ends so many seconds after the start."""
    return Lease(owner=owner, until=START + timedelta(seconds=second))


async def test_create_when_a_build_is_new(stage: Stage) -> None:
    """It is the replica's that made it, for the length of a lease."""
    build = await accepted(stage)
    active = ActiveBuild(id=build.id, workspace_id=stage.workspace_id, lease=lease(15))
    assert await stage.dynamo.builds.leases.list_active() == [active]


async def test_store_when_a_change_is_stored(stage: Stage, script: ScriptedBuilder) -> None:
    """The lease goes on in the same write; the last change ends it."""
    build = await accepted(stage)
    script.says("running")
    stage.clock.advance(seconds=6)
    await stage.round()
    assert await a_lease(stage, build.id) == lease(21)
    script.says("completed")
    script.tasks.popleft()
    stage.clock.advance(seconds=6)
    await stage.round()
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    assert stage.leases.held == frozenset()
    pointer = await stage.dynamo.table.get(build_pointer_key(build.id))
    assert {"owner", "lease"}.isdisjoint(pointer or {"owner"})


async def test_renew_due_when_a_third_is_left(stage: Stage) -> None:
    """Not before."""
    build = await accepted(stage)
    stage.clock.advance(seconds=10)
    await stage.leases.renew_due()
    assert await a_lease(stage, build.id) == lease(15)
    stage.clock.advance(seconds=0.1)
    await stage.leases.renew_due()
    assert await a_lease(stage, build.id) == lease(25.1)


async def test_renew_due_when_a_build_was_held_for_too_long(stage: Stage) -> None:
    """A build that nobody carries though it is held here is free again after its time."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id))
    for _ in range(61):
        stage.clock.advance(seconds=10.1)
        await stage.leases.renew_due()
    assert not stage.leases.has(build.id)
    other = stage.replica("replica-2")
    stage.clock.advance(seconds=LEASE_S)
    await other.lookout.look()
    assert other.leases.has(build.id)


async def test_look_when_another_carries_a_build(stage: Stage, script: ScriptedBuilder) -> None:
    """A replica that starts leaves it alone, until its lease has passed by more than clocks differ."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id))
    other = stage.replica("replica-2")
    await other.lookout.look()
    stage.clock.advance(seconds=17)
    await other.lookout.look()
    assert other.poller.carried == 0
    stage.clock.advance(seconds=0.1)
    await other.lookout.look()
    assert other.poller.carried == 1
    assert await a_lease(stage, build.id) == lease(17.1 + 15, "replica-2")
    await other.round()
    assert (await stage.build(build.id)).error == "was never accepted by the builder"
    assert script.calls == []


async def test_look_when_replicas_race(stage: Stage) -> None:
    """Each build is one replica's, whoever looks at the same moment."""
    builds = [await accepted(stage) for _ in range(12)]
    stage.clock.advance(seconds=20)
    others = [stage.replica(f"replica-{number}") for number in (2, 3, 4)]
    await asyncio.gather(*(other.lookout.look() for other in others))
    held = [build_id for other in others for build_id in other.leases.held]
    assert sorted(held) == sorted(build.id for build in builds)
    assert sum(other.poller.carried for other in others) == 12


async def test_take_when_the_index_is_stale(stage: Stage) -> None:
    """A lease that the index shows as passed, but was renewed since, is not taken."""
    build = await accepted(stage)
    stage.clock.advance(seconds=20)
    await stage.leases.renew_due()
    other = stage.replica("replica-2")
    stale = ActiveBuild(id=build.id, workspace_id=stage.workspace_id, lease=lease(15))
    assert await other.leases.take([stale]) == []
    assert await a_lease(stage, build.id) == lease(35)


async def test_step_when_the_lease_was_lost(stage: Stage, script: ScriptedBuilder) -> None:
    """A replica that slept lets the build be: it asks nobody, and writes nothing."""
    build = await accepted(stage)
    stage.clock.advance(seconds=20)
    other = stage.replica("replica-2")
    await other.lookout.look()
    script.says("completed")
    await stage.round()
    assert (stage.poller.carried, script.calls) == (0, [])
    await stage.leases.renew_due()
    assert await a_lease(stage, build.id) == lease(35, "replica-2")


async def test_step_when_nobody_took_the_build(stage: Stage, script: ScriptedBuilder) -> None:
    """A replica that slept goes on with what is still its own."""
    build = await accepted(stage)
    stage.clock.advance(seconds=20)
    script.says("completed")
    await stage.round()
    assert (await stage.build(build.id)).status is BuildStatus.DONE


async def test_store_when_the_lease_was_lost(stage: Stage) -> None:
    """What another carries is not changed, though its state is what it was."""
    build = await accepted(stage)
    stage.clock.advance(seconds=20)
    other = stage.replica("replica-2")
    await other.lookout.look()
    stored = await stage.journal.store(build, replace(build, status=BuildStatus.BUILDING, sequence=2))
    assert stored is not None
    assert (stored.status, stored.sequence) == (BuildStatus.PENDING, 1)
    assert not stage.leases.has(build.id)
    assert (await stage.build(build.id)).sequence == 1


async def test_store_when_a_build_is_cancelled_elsewhere(stage: Stage) -> None:
    """Anybody may cancel; the replica that carries the build learns of it by its next look."""
    build = await accepted(stage)
    other = stage.replica("replica-2")
    cancelled = replace(build, status=BuildStatus.CANCELLED, sequence=2, finished_at=START)
    await other.journal.store(build, cancelled)
    await stage.lookout.look()
    assert not stage.leases.has(build.id)
    await stage.round()
    assert stage.poller.carried == 0


async def test_require_when_the_lease_has_passed(stage: Stage) -> None:
    """Nothing with an effect outside is done until it is certain that nobody else does it."""
    build = await accepted(stage)
    stage.journal.require_lease(build)
    stage.clock.advance(seconds=15)
    with pytest.raises(LeaseLostError):
        stage.journal.require_lease(build)
    await stage.leases.ensure(build.id)
    stage.journal.require_lease(build)


async def test_give_up_when_the_process_ends(stage: Stage) -> None:
    """Another replica has the build with its next look."""
    build = await accepted(stage)
    await stage.leases.give_up(build.id)
    assert await a_lease(stage, build.id) is None
    other = stage.replica("replica-2")
    await other.lookout.look()
    assert other.leases.has(build.id)
    await stage.leases.give_up(build.id)
    assert await a_lease(stage, build.id) == lease(15, "replica-2")


async def test_look_when_the_index_lags(stage: Stage) -> None:
    """A build that the index does not have yet is carried on all the same."""
    build = await accepted(stage)
    unlisted = Update(key=build_pointer_key(build.id), remove=(INDEX_PK, INDEX_SK))
    await stage.dynamo.table.write(unlisted)
    await stage.lookout.look()
    assert stage.leases.has(build.id)
    assert stage.poller.carried == 1


async def test_look_when_a_pointer_has_no_build(stage: Stage) -> None:
    """What a deleted workspace left behind is taken out of the index, and not looked at again."""
    build = a_build(BuildKind.BUILD, workspace_id=stage.workspace_id, deploy=a_spec())
    await stage.dynamo.builds.create(build, lease_until=START)
    await stage.dynamo.table.delete_range(f"WS#{stage.workspace_id}", "BUILD#")
    await stage.lookout.look()
    assert await stage.dynamo.builds.leases.list_active() == []
    assert stage.leases.held == frozenset()
