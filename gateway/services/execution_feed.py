"""Invocations as they are recorded, on whatever replica: one Query a second for each watched workspace.

The index is eventually consistent, the replicas' clocks differ and a recording may take its time, so that what is
recent is read again, and what was seen is left out.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from gateway.errors import GatewayError, OperationTimeoutError
from gateway.records.clock import Clock
from gateway.records.execution_logs import ExecutionLogFilter, ExecutionLogRecord
from gateway.services.recorder import RECORDING_TIMEOUT_S
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable

INTERVAL_S = 1.0
"""Between two looks at a workspace: people follow with their eyes."""
OVERLAP = timedelta(seconds=10)
"""Read again by each look: an index lags by about a second, clocks differ by two, a write may be tried again."""
LONG_OVERLAP = timedelta(seconds=RECORDING_TIMEOUT_S) + OVERLAP
"""Read again by a long look: no log is stored and in the index later than that after its time."""
LONG_INTERVAL = timedelta(seconds=10)
"""Between two long looks: logs that are stored so late are few."""
PAGE = 1000
"""Logs of one page; those with large bodies have fewer."""
MAX_WAITING = 1000
"""Invocations that a watcher may be behind."""
MAX_WAITING_CHARACTERS = 32 * 1024 * 1024
"""The same of their bodies: 100 of the largest. All watchers of a workspace share them."""

logger = logging.getLogger(__name__)


class _Backlog:
    """Invocations that wait, as many as the memory should hold."""

    def __init__(self) -> None:
        self.logs: deque[ExecutionLogRecord] = deque()
        self._characters = 0

    def add(self, log: ExecutionLogRecord) -> bool:
        """Add one at the end; False where there is no room."""
        if len(self.logs) >= MAX_WAITING or self._characters >= MAX_WAITING_CHARACTERS:
            return False
        self.logs.append(log)
        self._characters += log.body_characters
        return True

    def take(self) -> ExecutionLogRecord:
        """Remove the first."""
        log = self.logs.popleft()
        self._characters -= log.body_characters
        return log


class ExecutionWatcher:
    """The invocations of a workspace, or of one of its functions, from now on."""

    def __init__(self, function_id: str | None, *, bodies: bool) -> None:
        self._function_id = function_id
        self.bodies = bodies
        """Whether it wants what was sent and answered."""
        self._waiting = _Backlog()
        self._behind = False
        self._changed = asyncio.Event()

    def offer(self, log: ExecutionLogRecord) -> None:
        """Take an invocation that was recorded; after one for which there is no room, none."""
        if self._behind or self._function_id not in {None, log.function_id}:
            return
        if not self._waiting.add(log):
            self._behind = True
        self._changed.set()

    def lose(self) -> None:
        """Take note that there were more invocations than could be offered."""
        self._behind = True
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[ExecutionLogRecord]:
        return self

    async def __anext__(self) -> ExecutionLogRecord:
        while not self._waiting.logs:
            if self._behind:
                raise OperationTimeoutError(
                    f"This subscription fell {MAX_WAITING} invocations behind, or "
                    f"{MAX_WAITING_CHARACTERS // 1024**2} MB of bodies; subscribe again."
                )
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.take()


class _WatchedWorkspace:
    """What is known of a workspace that somebody watches."""

    def __init__(self, now: datetime) -> None:
        self.watchers: set[ExecutionWatcher] = set()
        self.seen: dict[str, datetime] = {}
        self.began = now
        self.read_until = now
        self.long_until = now
        self.is_first_look = True

    @property
    def wants_bodies(self) -> bool:
        """Whether one of the watchers wants them."""
        return any(watcher.bodies for watcher in self.watchers)


class ExecutionFeed:
    """Who watches which workspace; `run` looks for what they wait for."""

    def __init__(self, logs: ExecutionLogTable, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        self._logs = logs
        self._clock = clock
        self._interval_s = interval_s
        self._workspaces: dict[str, _WatchedWorkspace] = {}
        self._woken = asyncio.Event()

    @contextmanager
    def watch(
        self, workspace_id: str, function_id: str | None = None, *, bodies: bool
    ) -> Iterator[ExecutionWatcher]:
        """Watch a workspace; released when the block is left, in any way."""
        watcher = ExecutionWatcher(function_id, bodies=bodies)
        watched = self._workspaces.setdefault(workspace_id, _WatchedWorkspace(self._clock()))
        watched.watchers.add(watcher)
        self._woken.set()
        try:
            yield watcher
        finally:
            watched.watchers.discard(watcher)
            if not watched.watchers:
                self._forget(workspace_id, watched)

    async def run(self) -> None:
        """Look at the watched workspaces until cancelled; while nobody watches, nothing is read."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._workspaces:
                await self.tick()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._woken.wait()
                self._woken.clear()

    async def tick(self) -> None:
        """One look at every watched workspace; one that can't be read is read further back the next time."""

        async def look(workspace_id: str, watched: _WatchedWorkspace) -> None:
            try:
                await self._look(workspace_id, watched)
            except GatewayError as error:
                logger.warning("the invocations of %s could not be read: %s", workspace_id, error)
            except Exception:  # to end here would leave all who watch waiting
                logger.exception("the invocations of %s could not be looked at", workspace_id)

        await asyncio.gather(*(look(*each) for each in list(self._workspaces.items())))

    async def _look(self, workspace_id: str, watched: _WatchedWorkspace) -> None:
        now = self._clock()
        is_long = watched.is_first_look or now - watched.long_until >= LONG_INTERVAL
        since = watched.long_until - LONG_OVERLAP if is_long else watched.read_until - OVERLAP
        bodies = watched.wants_bodies
        found, new = await self._read_new(workspace_id, watched, since, bodies=bodies)
        if watched.wants_bodies and not bodies:
            return  # of who came meanwhile: the next look, which is at once, reads all of this with bodies
        if new is None:
            self._forget(workspace_id, watched)  # who comes now begins anew
            for watcher in watched.watchers:
                watcher.lose()
            return
        for log in reversed(new):
            for watcher in watched.watchers:
                watcher.offer(log)
        watched.seen |= found
        watched.read_until = now
        watched.is_first_look = False
        if is_long:
            watched.long_until = now
            watched.seen = {id_: at for id_, at in watched.seen.items() if at >= now - LONG_OVERLAP}

    async def _read_new(
        self, workspace_id: str, watched: _WatchedWorkspace, since: datetime, *, bodies: bool
    ) -> tuple[dict[str, datetime], deque[ExecutionLogRecord] | None]:
        """The ids and times that were not seen, and what is to be offered, newest first; None of too many."""
        found: dict[str, datetime] = {}
        new = _Backlog()
        after: str | None = None
        while True:
            page = await self._logs.list_of_workspace(
                workspace_id, first=PAGE, after=after, wanted=ExecutionLogFilter(since=since), bodies=bodies
            )
            for log in page.items:
                if log.id in watched.seen:
                    continue
                found[log.id] = log.timestamp
                if watched.is_first_look and log.timestamp < watched.began:
                    continue  # from before anybody watched
                if not new.add(log):
                    return found, None
            if not page.has_next:
                return found, new.logs
            after = page.end

    def _forget(self, workspace_id: str, watched: _WatchedWorkspace) -> None:
        if self._workspaces.get(workspace_id) is watched:
            del self._workspaces[workspace_id]
