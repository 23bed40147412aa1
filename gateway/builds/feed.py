"""The fan-out of builds to whoever watches: one publish, any number of watchers, no task or timer for any of them.

A watcher gets what is stored, then one event for each change, in order. Of what it has not taken yet only the
newest state of each build is kept: the changes in between are rebuilt from the build's steps (events.py).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from gateway.builds.events import events_after
from gateway.errors import NotFoundError
from gateway.records.builds import BuildEventRecord, BuildRecord

W = TypeVar("W")


class BuildReader(Protocol):
    """Where the stored state comes from."""

    async def get(self, build_id: str) -> BuildRecord | None:
        """A build as it is stored now."""

    async def list_unfinished(self) -> list[BuildRecord]:
        """All builds that are not finished."""


class BuildWatcher:
    """The events of one build, from what is stored on; it ends after the final one. NotFoundError without one."""

    def __init__(self, builds: BuildReader, build_id: str, after: int | None) -> None:
        self._builds = builds
        self._build_id = build_id
        self._seen = after
        self._newest: BuildRecord | None = None
        self._read = False
        self._lost = False
        self._changed = asyncio.Event()

    def offer(self, build: BuildRecord) -> None:
        """Take the newest state; one that was not looked at yet is replaced."""
        if self._newest is None or build.sequence > self._newest.sequence:
            self._newest = build
            self._changed.set()

    def lose(self) -> None:
        """The build was deleted."""
        self._lost = True
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[BuildEventRecord]:
        return self

    async def __anext__(self) -> BuildEventRecord:
        build = await self._first_state()
        if self._seen is None:
            self._seen = build.sequence - 1  # as it is now: what was before is not asked for
        while True:
            build = self._newest or build
            event = next(events_after(build, self._seen), None)
            if event is not None:
                self._seen = event.sequence
                return event
            if build.status.is_final:
                raise StopAsyncIteration
            if self._lost:
                raise NotFoundError(f"The build {self._build_id} was deleted.", field="id")
            self._changed.clear()
            await self._changed.wait()

    async def _first_state(self) -> BuildRecord:
        if not self._read:
            stored = await self._builds.get(self._build_id)
            if stored is None:
                raise NotFoundError(f"There is no build {self._build_id}.", field="id")
            self._read = True
            self.offer(stored)
        if self._newest is None:
            raise RuntimeError("a build that was read has a state")
        return self._newest


class WorkspaceWatcher:
    """The events of all builds of a workspace: those that are not finished as they are now, then every change."""

    def __init__(self, builds: BuildReader, workspace_id: str, unfinished: Iterable[BuildRecord]) -> None:
        self._builds = builds
        self._workspace_id = workspace_id
        self._newest = {build.id: build for build in unfinished if build.workspace_id == workspace_id}
        self._seen = {build.id: build.sequence - 1 for build in self._newest.values()}
        self._read = False
        self._changed = asyncio.Event()

    def offer(self, build: BuildRecord) -> None:
        """Take the newest state of a build; one that was not looked at yet is replaced."""
        waiting = self._newest.get(build.id)
        if waiting is None or build.sequence > waiting.sequence:
            self._newest[build.id] = build
            self._changed.set()

    def __aiter__(self) -> AsyncIterator[BuildEventRecord]:
        return self

    async def __anext__(self) -> BuildEventRecord:
        if not self._read:
            for build in await self._builds.list_unfinished():
                if build.workspace_id == self._workspace_id and build.id not in self._newest:
                    self._seen[build.id] = build.sequence - 1
                    self.offer(build)
            self._read = True
        while True:
            for build in list(self._newest.values()):
                event = next(events_after(build, self._seen.get(build.id, 0)), None)
                if event is not None:
                    self._seen[build.id] = event.sequence
                    return event
                del self._newest[build.id]
                if build.status.is_final:
                    del self._seen[build.id]
            self._changed.clear()
            await self._changed.wait()


class BuildFeed:
    """Who watches what, and the builds of this replica that are not finished."""

    def __init__(self, builds: BuildReader) -> None:
        self._builds = builds
        self._watchers: dict[str, set[BuildWatcher]] = {}
        self._workspaces: dict[str, set[WorkspaceWatcher]] = {}
        self._unfinished: dict[str, BuildRecord] = {}

    @property
    def watched(self) -> int:
        """How many watchers there are."""
        return sum(map(len, self._watchers.values())) + sum(map(len, self._workspaces.values()))

    def publish(self, build: BuildRecord) -> None:
        """Give a state that was stored to all who watch; it costs them nothing until they look."""
        known = self._unfinished.pop(build.id, None)
        if not build.status.is_final:
            self._unfinished[build.id] = build
        elif known is None:
            return  # its end was published before
        for watcher in self._watchers.get(build.id, ()):
            watcher.offer(build)
        for workspace_watcher in self._workspaces.get(build.workspace_id, ()):
            workspace_watcher.offer(build)

    def lose(self, build_id: str) -> None:
        """A build's row is gone: who watches it is told so."""
        self._unfinished.pop(build_id, None)
        for watcher in self._watchers.get(build_id, ()):
            watcher.lose()

    @contextmanager
    def watch(self, build_id: str, after: int | None = None) -> Iterator[BuildWatcher]:
        """Watch one build; `after` skips what was seen before. Released when the block is left, in any way."""
        watcher = BuildWatcher(self._builds, build_id, after)
        with _registered(self._watchers, build_id, watcher):
            yield watcher

    @contextmanager
    def watch_workspace(self, workspace_id: str) -> Iterator[WorkspaceWatcher]:
        """Watch all builds of a workspace, those started later included; it does not end by itself."""
        watcher = WorkspaceWatcher(self._builds, workspace_id, self._unfinished.values())
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
