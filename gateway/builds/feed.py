"""The fan-out of builds to whoever watches: one publish, any number of watchers, no task or timer for any of them.

A watcher gets what is stored, then one event for each change, in order. Of what it has not taken yet only the
newest state of each build is kept: the changes in between are rebuilt from the build's steps (events.py). Changes
that other replicas make are published here by lookout.py.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, TypeVar

from gateway.builds.events import current_event, events_after
from gateway.errors import NotFoundError
from gateway.records.builds import BuildEventRecord, BuildRecord
from gateway.records.clock import CLOCK_SKEW_S, Clock, system_clock

W = TypeVar("W")

MAX_REMEMBERED_ENDS = 10_000
"""Ends that are known to have been published; the index of unfinished builds lags by seconds, not by thousands."""


class BuildReader(Protocol):
    """Where the stored state comes from."""

    async def get(self, build_id: str) -> BuildRecord | None:
        """A build as it is stored now."""

    async def list_unfinished(self, workspace_id: str | None = None) -> list[BuildRecord]:
        """The builds of a workspace that are not finished."""


class BuildWatcher:
    """The newest state of one build, and what of it is news to whom; NotFoundError where there is no build.

    One may iterate, from `after` on to the final event. Many may share it: they ask for what is `next_after` the
    number each has seen last, and wait for `changed`.
    """

    def __init__(self, feed: "BuildFeed", build_id: str, after: int | None) -> None:
        self._feed = feed
        self._build_id = build_id
        self._seen = after
        self._newest: BuildRecord | None = None
        self._lost = False
        self.changed = asyncio.Event()

    def offer(self, build: BuildRecord) -> None:
        """Take the newest state; one that was not looked at yet is replaced."""
        if self._newest is None or build.sequence > self._newest.sequence:
            self._newest = build
            self.changed.set()

    def lose(self) -> None:
        """The build was deleted."""
        self._lost = True
        self.changed.set()

    async def read(self) -> None:
        """Get the stored state, unless a newer one was published meanwhile; before anything is asked for."""
        if self._newest is None:
            stored = await self._feed.read(self._build_id)
            if stored is None:
                raise NotFoundError(f"There is no build {self._build_id}.", field="id")
            self.offer(stored)

    @property
    def has_ended(self) -> bool:
        """Whether the build is finished: there are no more events to come."""
        return self._newest is not None and self._newest.status.is_final

    def next_after(self, seen: int | None) -> BuildEventRecord | None:
        """The first change after the number, if there is one by now; for None the build as it is."""
        if (build := self._newest) is None:
            raise RuntimeError("a build that was read has a state")
        event = current_event(build) if seen is None else next(events_after(build, seen), None)
        if event is None and self._lost and not build.status.is_final:
            raise NotFoundError(f"The build {self._build_id} was deleted.", field="id")
        return event

    def __aiter__(self) -> AsyncIterator[BuildEventRecord]:
        return self

    async def __anext__(self) -> BuildEventRecord:
        await self.read()
        while (event := self.next_after(self._seen)) is None:
            if self.has_ended:
                raise StopAsyncIteration
            self.changed.clear()
            await self.changed.wait()
        self._seen = event.sequence
        return event


class WorkspaceWatcher:
    """The events of all builds of a workspace: those that are not finished as they are now, then every change."""

    def __init__(self, feed: "BuildFeed", workspace_id: str) -> None:
        self._feed = feed
        self._workspace_id = workspace_id
        self._newest = {id_: build for id_, build in feed.unfinished.items() if build.workspace_id == workspace_id}
        self._seen = {build.id: build.sequence - 1 for build in self._newest.values()}
        self._since = feed.now() - timedelta(seconds=CLOCK_SKEW_S)
        self._read = False
        self._changed = asyncio.Event()

    def offer(self, build: BuildRecord) -> None:
        """Take the newest state of a build; one that was not looked at yet is replaced.

        One that ended before anybody watched here is passed over; which it is, the replicas' clocks tell.
        """
        if build.finished_at is not None and build.finished_at < self._since and build.id not in self._seen:
            return
        waiting = self._newest.get(build.id)
        if waiting is None or build.sequence > waiting.sequence:
            self._newest[build.id] = build
            self._changed.set()

    def __aiter__(self) -> AsyncIterator[BuildEventRecord]:
        return self

    async def __anext__(self) -> BuildEventRecord:
        if not self._read:
            for build in await self._feed.list_unfinished(self._workspace_id):
                if build.id in self._newest or not self._feed.has_ended(build.id):
                    self._seen.setdefault(build.id, build.sequence - 1)
                    self._feed.publish(build)  # to this watcher too; from now on its end is looked for
            self._read = True
        while True:
            for build in list(self._newest.values()):
                event = next(events_after(build, self._seen.get(build.id, 0)), None)
                if event is not None:
                    self._seen[build.id] = event.sequence
                    return event
                del self._newest[build.id]
                if build.status.is_final:
                    self._seen.pop(build.id, None)
            self._changed.clear()
            await self._changed.wait()


class BuildFeed:
    """Who watches what, and the newest states of the unfinished builds that are carried or watched here."""

    def __init__(self, builds: BuildReader, *, clock: Clock = system_clock) -> None:
        self._builds = builds
        self.now = clock
        self._watchers: dict[str, set[BuildWatcher]] = {}
        self._workspaces: dict[str, set[WorkspaceWatcher]] = {}
        self._unfinished: dict[str, BuildRecord] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    @property
    def watched_builds(self) -> frozenset[str]:
        """The builds that are watched one by one."""
        return frozenset(self._watchers)

    @property
    def watched_workspaces(self) -> frozenset[str]:
        """The workspaces of which all builds are watched."""
        return frozenset(self._workspaces)

    @property
    def unfinished(self) -> Mapping[str, BuildRecord]:
        """What was published and has not ended, as far as is known here."""
        return self._unfinished

    @property
    def watched(self) -> int:
        """How many watchers there are."""
        return sum(map(len, self._watchers.values())) + sum(map(len, self._workspaces.values()))

    def publish(self, build: BuildRecord) -> None:
        """Give a state that was stored to all who watch; it costs them nothing until they look.

        What is not news is passed over: whoever reads a build again publishes what it found.
        """
        known = self._unfinished.get(build.id)
        if build.id in self._ended or (known is not None and known.sequence >= build.sequence):
            return
        if build.status.is_final:
            self._unfinished.pop(build.id, None)
            self._ended[build.id] = None
            if len(self._ended) > MAX_REMEMBERED_ENDS:
                self._ended.popitem(last=False)
        else:
            self._unfinished[build.id] = build
        for watcher in self._watchers.get(build.id, ()):
            watcher.offer(build)
        for workspace_watcher in self._workspaces.get(build.workspace_id, ()):
            workspace_watcher.offer(build)

    def lose(self, build_id: str) -> None:
        """A build's row is gone: who watches it is told so."""
        self._unfinished.pop(build_id, None)
        for watcher in self._watchers.get(build_id, ()):
            watcher.lose()

    def has_ended(self, build_id: str) -> bool:
        """Whether the build's end was published a while ago at most."""
        return build_id in self._ended

    def forget_all_but(self, carried: Collection[str]) -> None:
        """Drop the states that nobody here keeps current: neither carried nor watched, they would go stale."""
        for build_id, build in list(self._unfinished.items()):
            watched = build_id in self._watchers or build.workspace_id in self._workspaces
            if not watched and build_id not in carried:
                del self._unfinished[build_id]

    async def read(self, build_id: str) -> BuildRecord | None:
        """A build for one who begins to watch: from memory while it is watched or carried here."""
        known = self._unfinished.get(build_id)
        if known is not None:
            return known
        stored = await self._builds.get(build_id)
        if stored is not None and not stored.status.is_final:
            self.publish(stored)  # so that those who come next need not read it
        return stored

    async def list_unfinished(self, workspace_id: str) -> list[BuildRecord]:
        """A workspace's unfinished builds as they are stored."""
        return await self._builds.list_unfinished(workspace_id)

    @contextmanager
    def watch(self, build_id: str, after: int | None = None) -> Iterator[BuildWatcher]:
        """Watch one build; `after` skips what was seen before. Released when the block is left, in any way."""
        watcher = BuildWatcher(self, build_id, after)
        with _registered(self._watchers, build_id, watcher):
            yield watcher

    @contextmanager
    def watch_workspace(self, workspace_id: str) -> Iterator[WorkspaceWatcher]:
        """Watch all builds of a workspace, those started later included; it does not end by itself."""
        watcher = WorkspaceWatcher(self, workspace_id)
        with _registered(self._workspaces, workspace_id, watcher):
            yield watcher


@contextmanager
def _registered(watchers: dict[str, set[W]], key: str, watcher: W) -> Iterator[None]:
    watchers.setdefault(key, set()).add(watcher)
    try:
        yield
    finally:
        watchers[key].discard(watcher)
        if not watchers[key]:
            del watchers[key]
