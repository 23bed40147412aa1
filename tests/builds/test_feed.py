"""Who watches what: the stored state first, then every change in order, to the end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.builds.feed import BuildFeed
from gateway.builds.states import enter
from gateway.errors import NotFoundError
from gateway.records.builds import BuildEventRecord, BuildKind, BuildRecord, BuildStatus
from tests.builds.samples import START, a_build, eventually

PENDING, BUILDING, PUSHING, DEPLOYING, DONE, FAILED, CANCELLED = BuildStatus


class StoredBuilds:
    """What is stored, by id."""

    def __init__(self, *builds: BuildRecord) -> None:
        self.builds = {build.id: build for build in builds}

    async def get(self, build_id: str) -> BuildRecord | None:
        """A build as it is stored."""
        await asyncio.sleep(0)
        return self.builds.get(build_id)

    async def list_unfinished(self, workspace_id: str | None = None) -> list[BuildRecord]:
        """Those of a workspace that are not finished."""
        await asyncio.sleep(0)
        unfinished = [build for build in self.builds.values() if not build.status.is_final]
        return [build for build in unfinished if workspace_id in {None, build.workspace_id}]


def following(build: BuildRecord, status: BuildStatus, second: int = 1) -> BuildRecord:
    """The build in a later status."""
    later = enter(build, status, START + timedelta(seconds=second))
    assert later is not None
    return later


async def take(events: AsyncIterator[BuildEventRecord], count: int) -> list[tuple[int, str]]:
    """The next events, as sequence and status."""
    async with asyncio.timeout(2):
        return [(event.sequence, event.status.name) for event in [await anext(events) for _ in range(count)]]


async def drain(events: AsyncIterator[BuildEventRecord]) -> list[tuple[int, str]]:
    """All events, to the end."""
    async with asyncio.timeout(2):
        return [(event.sequence, event.status.name) async for event in events]


async def test_watch_when_the_build_goes_on() -> None:
    """What is stored, then each change as it is published, and then the end."""
    build = a_build()
    feed = BuildFeed(StoredBuilds(build))
    with feed.watch(build.id) as watcher:
        assert await take(watcher, 1) == [(1, "PENDING")]
        feed.publish(build := following(build, BUILDING))
        assert await take(watcher, 1) == [(2, "BUILDING")]
        feed.publish(following(build, DONE))
        assert await drain(watcher) == [(3, "PUSHING"), (4, "DONE")]


async def test_watch_when_the_build_is_under_way() -> None:
    """The first event is the build as it is now: what was before is not repeated."""
    build = following(a_build(), PUSHING)
    feed = BuildFeed(StoredBuilds(build))
    with feed.watch(build.id) as watcher:
        assert await take(watcher, 1) == [(3, "PUSHING")]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, [(1, "PENDING"), (2, "BUILDING"), (3, "PUSHING"), (4, "DONE")]),
        (2, [(3, "PUSHING"), (4, "DONE")]),
        (4, []),
        (None, [(4, "DONE")]),
    ],
)
async def test_watch_when_the_build_is_finished(after: int | None, expected: list[tuple[int, str]]) -> None:
    """What the client has not seen yet, and then the end."""
    build = following(a_build(), DONE)
    with BuildFeed(StoredBuilds(build)).watch(build.id, after) as watcher:
        assert await drain(watcher) == expected


async def test_watch_when_the_watcher_is_slow() -> None:
    """It keeps one state whatever was published, and misses none of the changes."""
    first = a_build(BuildKind.DEPLOY)
    feed = BuildFeed(StoredBuilds(first))
    with feed.watch(first.id) as watcher:
        assert await take(watcher, 1) == [(1, "PENDING")]
        build = first
        for second, status in enumerate((BUILDING, PUSHING, DEPLOYING, DONE), 1):
            feed.publish(build := following(build, status, second))
        assert await drain(watcher) == [(2, "BUILDING"), (3, "PUSHING"), (4, "DEPLOYING"), (5, "DONE")]


async def test_watch_when_the_build_changes_while_it_is_read() -> None:
    """A change between the registration and the first read is neither lost nor repeated."""
    build = a_build()
    feed = BuildFeed(StoredBuilds(build))
    with feed.watch(build.id, 0) as watcher:
        reading = asyncio.create_task(take(watcher, 2))
        await asyncio.sleep(0)
        feed.publish(following(build, BUILDING))
        assert await reading == [(1, "PENDING"), (2, "BUILDING")]


async def test_watch_when_there_is_no_build() -> None:
    """NOT_FOUND."""
    with (
        BuildFeed(StoredBuilds()).watch("no-such-build") as watcher,
        pytest.raises(NotFoundError, match="There is no build no-such-build") as caught,
    ):
        await anext(watcher)
    assert caught.value.field == "id"


async def test_watch_when_the_build_is_deleted() -> None:
    """Who waits for it is told so."""
    build = a_build()
    feed = BuildFeed(StoredBuilds(build))
    with feed.watch(build.id) as watcher:
        await take(watcher, 1)
        waiting = asyncio.create_task(take(watcher, 1))
        await asyncio.sleep(0)
        feed.lose(build.id)
        with pytest.raises(NotFoundError, match="was deleted"):
            await waiting


async def test_watch_when_the_watcher_leaves() -> None:
    """Nothing of it stays behind, after an error and a cancellation too."""
    build = a_build()
    feed = BuildFeed(StoredBuilds(build))

    async def watch() -> None:
        with feed.watch(build.id) as watcher, feed.watch_workspace(build.workspace_id):
            async for _ in watcher:
                pass

    tasks = [asyncio.create_task(watch()) for _ in range(3)]

    async def all_watch() -> bool:
        return feed.watched == 6

    await eventually(all_watch)
    assert len(asyncio.all_tasks()) == 4  # ours and this one: no task of the feed's own
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert feed.watched == 0


async def test_watch_workspace_when_builds_come_and_go() -> None:
    """The unfinished ones as they are now, then every change of each, those started later from their first on."""
    running = following(a_build(), BUILDING)
    elsewhere = a_build(workspace_id="ws-other123")
    feed = BuildFeed(StoredBuilds(running, elsewhere, following(a_build(), DONE)))
    with feed.watch_workspace("ws-1a2b3c4d") as watcher:
        assert await take(watcher, 1) == [(2, "BUILDING")]
        feed.publish(elsewhere)
        feed.publish(running)
        feed.publish(following(running, DONE))
        assert await take(watcher, 2) == [(3, "PUSHING"), (4, "DONE")]
        started = a_build()
        feed.publish(started)
        feed.publish(following(started, BUILDING))
        assert await take(watcher, 2) == [(1, "PENDING"), (2, "BUILDING")]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(watcher)


async def test_watch_workspace_when_the_index_lags() -> None:
    """A build that was started here a moment ago is there, though no list has it yet."""
    build = a_build()
    feed = BuildFeed(StoredBuilds())
    feed.publish(build)
    with feed.watch_workspace(build.workspace_id) as watcher:
        assert await take(watcher, 1) == [(1, "PENDING")]


async def test_watch_workspace_when_an_end_is_published_twice() -> None:
    """Who found the end in the table publishes it again: it is one event."""
    build = a_build()
    feed = BuildFeed(StoredBuilds())
    feed.publish(build)
    with feed.watch_workspace(build.workspace_id) as watcher:
        await take(watcher, 1)
        done = following(build, DONE)
        feed.publish(done)
        assert await take(watcher, 3) == [(2, "BUILDING"), (3, "PUSHING"), (4, "DONE")]
        waiting = asyncio.create_task(anext(watcher))
        await asyncio.sleep(0)
        feed.publish(done)
        other = replace(a_build(), app_name="other")
        feed.publish(other)
        async with asyncio.timeout(2):
            assert (await waiting).build == other
