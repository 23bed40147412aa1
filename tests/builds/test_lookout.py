"""What watchers see of builds that another replica carries, and what looking costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest

from gateway.builds.states import enter
from gateway.errors import NotFoundError
from gateway.records.builds import BuildEventRecord, BuildRecord, BuildStatus
from tests.builds.samples import START, a_build
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def other(stage: Stage) -> Stage:
    """A second replica: builds are carried by `stage`, and watched here."""
    return stage.replica("replica-2")


async def created(stage: Stage) -> BuildRecord:
    """A build that a replica carries."""
    return await stage.journal.create(a_build(workspace_id=stage.workspace_id))


async def moved(stage: Stage, build: BuildRecord, status: BuildStatus) -> BuildRecord:
    """The build after its replica stored a change."""
    stored = await stage.journal.store(build, enter(build, status, START + timedelta(seconds=1)))
    assert stored is not None
    return stored


async def failed(stage: Stage) -> BuildRecord:
    """A build that ended as soon as it was made, by its replica's clock."""
    build = await stage.journal.create(a_build(workspace_id=stage.workspace_id))
    ended = await stage.journal.store(build, enter(build, BuildStatus.FAILED, stage.clock()))
    assert ended is not None
    return ended


async def seen(events: AsyncIterator[BuildEventRecord], count: int) -> list[tuple[int, str]]:
    """The next events."""
    async with asyncio.timeout(5):
        found = [await anext(events) for _ in range(count)]
    return [(event.sequence, event.status.name) for event in found]


async def is_quiet(events: AsyncIterator[BuildEventRecord]) -> bool:
    """Whether nothing comes without another look."""
    try:
        async with asyncio.timeout(0.05):
            await anext(events)
    except TimeoutError:
        return True
    return False


@contextmanager
def counted(stage: Stage) -> Iterator[Counter[str]]:
    """DynamoDB's operations within the block."""
    calls: Counter[str] = Counter()

    def note(event_name: str, **_: object) -> None:
        calls[event_name.rpartition(".")[2]] += 1

    events = stage.aws.dynamodb.meta.events
    events.register("before-send.dynamodb", note)
    try:
        yield calls
    finally:
        events.unregister("before-send.dynamodb", note)


async def test_look_when_another_replica_carries_the_build(stage: Stage, other: Stage) -> None:
    """Each change is an event after the next look, and the end completes."""
    build = await created(stage)
    with other.feed.watch(build.id) as watcher:
        assert await seen(watcher, 1) == [(1, "PENDING")]
        build = await moved(stage, build, BuildStatus.BUILDING)
        assert await is_quiet(watcher)
        await other.lookout.look()
        assert await seen(watcher, 1) == [(2, "BUILDING")]
        await moved(stage, build, BuildStatus.DONE)
        await other.lookout.look()
        async with asyncio.timeout(1):
            assert [event.sequence async for event in watcher] == [3, 4]


async def test_look_when_a_workspace_is_watched(stage: Stage, other: Stage) -> None:
    """Builds started on another replica are there after the next look, and end though nothing lists them."""
    first = await created(stage)
    with other.feed.watch_workspace(stage.workspace_id) as watcher:
        assert await seen(watcher, 1) == [(1, "PENDING")]
        second = await moved(stage, await created(stage), BuildStatus.BUILDING)
        await other.lookout.look()
        assert await seen(watcher, 2) == [(1, "PENDING"), (2, "BUILDING")]
        await moved(stage, second, BuildStatus.DONE)
        await moved(stage, first, BuildStatus.FAILED)
        await other.lookout.look()
        assert sorted(await seen(watcher, 3)) == [(2, "FAILED"), (3, "PUSHING"), (4, "DONE")]
        await other.lookout.look()
        assert await is_quiet(watcher)
    await other.lookout.look()
    assert other.feed.unfinished == {}


async def test_look_when_a_build_ends_before_the_first_look(stage: Stage, other: Stage) -> None:
    """What a watcher of a workspace was shown has its end, though no look ever saw it unfinished."""
    build = await created(stage)
    with other.feed.watch_workspace(stage.workspace_id) as watcher:
        assert await seen(watcher, 1) == [(1, "PENDING")]
        await moved(stage, build, BuildStatus.FAILED)
        await other.lookout.look()
        assert await seen(watcher, 1) == [(2, "FAILED")]


async def test_look_when_a_watched_build_is_deleted(stage: Stage, other: Stage) -> None:
    """Who watches it on another replica is told so."""
    build = await created(stage)
    with other.feed.watch(build.id) as watcher:
        assert await seen(watcher, 1) == [(1, "PENDING")]
        await stage.dynamo.builds.delete_of_workspace(stage.workspace_id)
        await other.lookout.look()
        with pytest.raises(NotFoundError, match="was deleted"):
            await anext(watcher)


async def test_look_when_a_build_begins_and_ends_between_two(stage: Stage, other: Stage) -> None:
    """Who watches its workspace sees all of it, once; who watches another, or comes later, nothing."""
    await other.lookout.look()
    with (
        other.feed.watch_workspace(stage.workspace_id) as watcher,
        other.feed.watch_workspace("ws-other000") as elsewhere,
    ):
        assert await is_quiet(watcher)
        assert await is_quiet(elsewhere)
        stage.clock.advance(seconds=1)
        await moved(stage, await created(stage), BuildStatus.DONE)
        with counted(stage) as calls:
            await other.lookout.look()
        assert calls == {"Query": 1, "BatchGetItem": 1}
        assert await seen(watcher, 4) == [(1, "PENDING"), (2, "BUILDING"), (3, "PUSHING"), (4, "DONE")]
        stage.clock.advance(seconds=5)
        with counted(stage) as calls:
            await other.lookout.look()
        assert calls == {"Query": 1}, "what is known to have ended is not read again"
        with other.feed.watch_workspace(stage.workspace_id) as later:
            await other.lookout.look()
            assert await is_quiet(later)
        assert await is_quiet(watcher)
        assert await is_quiet(elsewhere)


async def test_look_when_a_build_ended_before_anybody_watched(stage: Stage, other: Stage) -> None:
    """It is no news, though it ended a moment ago; one that did by a clock that is behind is."""
    await failed(stage)
    stage.clock.advance(seconds=2.5)
    with other.feed.watch_workspace(stage.workspace_id) as watcher:
        await other.lookout.look()
        assert await is_quiet(watcher)
        stage.clock.advance(seconds=-2)
        await failed(stage)
        stage.clock.advance(seconds=2)
        await other.lookout.look()
        assert await seen(watcher, 2) == [(1, "PENDING"), (2, "FAILED")]


async def test_look_when_the_table_was_away_for_a_minute(stage: Stage, other: Stage) -> None:
    """What ended since the last look that went well is found by the next one."""
    with other.feed.watch_workspace(stage.workspace_id) as watcher:
        await other.lookout.look()
        await failed(stage)
        stage.clock.advance(seconds=60)
        await other.lookout.look()
        assert await seen(watcher, 2) == [(1, "PENDING"), (2, "FAILED")]
        stage.clock.advance(seconds=11)
        await failed(stage)
        await other.lookout.look()
        assert await seen(watcher, 2) == [(1, "PENDING"), (2, "FAILED")]


async def test_look_when_ended_builds_are_in_the_index(stage: Stage, other: Stage) -> None:
    """Nobody takes them over, and without a watcher they are not even read."""
    for _ in range(3):
        await moved(stage, await created(stage), BuildStatus.DONE)
    stage.clock.advance(seconds=60)
    assert await stage.dynamo.builds.leases.list_active() == []
    await other.lookout.look()
    assert other.leases.held == frozenset()


async def test_look_when_many_watch(stage: Stage, other: Stage) -> None:
    """One Query and one BatchGetItem, however many builds and watchers; the Query alone where nobody watches."""
    builds = [await created(stage) for _ in range(20)]
    with counted(stage) as calls:
        await other.lookout.look()
    assert calls == {"Query": 1}
    with ExitStack() as stack:
        enter = stack.enter_context
        by_build = [enter(other.feed.watch(build.id)) for build in builds for _ in range(5)]
        of_all = [enter(other.feed.watch_workspace(stage.workspace_id)) for _ in range(5)]
        for one in by_build:
            await anext(one)
        for every in of_all:
            await anext(every)
        with counted(stage) as calls:
            await other.lookout.look()
        assert calls == {"Query": 1, "BatchGetItem": 1}
        with counted(stage) as calls:
            await stage.lookout.look()
        assert calls == {"Query": 1}, "its own builds need not be read"


async def test_watch_when_others_watch_already(stage: Stage, other: Stage) -> None:
    """Those who come later are shown what is known: nothing is read for them."""
    build = await created(stage)
    with other.feed.watch(build.id) as first:
        await anext(first)
        with counted(stage) as calls, other.feed.watch(build.id) as second, stage.feed.watch(build.id) as third:
            assert [(await anext(watcher)).sequence for watcher in (second, third)] == [1, 1]
    assert calls == {}
