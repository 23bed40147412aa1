"""Invocations as they are recorded, on whatever replica: one Query a second for each watched workspace.

The index is eventually consistent and the replicas' clocks differ, so that the last seconds are read again each
time, and what was seen is left out.
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
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable

INTERVAL_S = 1.0
"""Between two looks at a workspace: people follow with their eyes."""
OVERLAP = timedelta(seconds=10)
"""Read again each time: an index lags by about a second, clocks differ by two, and a write may be tried again."""
PAGE = 1000
"""Logs of one Query; a Query's 1 MB is reached first where bodies are large."""
MAX_WAITING = 1000
"""Invocations that a watcher may be behind; with bodies of up to 256 KB each, more could fill the memory."""

logger = logging.getLogger(__name__)


class ExecutionWatcher:
    """The invocations of a workspace, or of one of its functions, from now on."""

    def __init__(self, function_id: str | None, since: datetime) -> None:
        self._function_id = function_id
        self.since = since
        self._waiting: deque[ExecutionLogRecord] = deque()
        self._behind = False
        self._changed = asyncio.Event()

    def offer(self, log: ExecutionLogRecord) -> None:
        """Take an invocation that was recorded."""
        if self._function_id not in {None, log.function_id}:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._behind = True
        else:
            self._waiting.append(log)
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[ExecutionLogRecord]:
        return self

    async def __anext__(self) -> ExecutionLogRecord:
        while not self._waiting:
            if self._behind:
                message = f"This subscription fell {MAX_WAITING} invocations behind; subscribe again."
                raise OperationTimeoutError(message)
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


class _WatchedWorkspace:
    """What is known of a workspace that somebody watches."""

    def __init__(self, now: datetime) -> None:
        self.watchers: set[ExecutionWatcher] = set()
        self.seen: dict[str, datetime] = {}
        self.began = now
        self.read_until = now
        self.is_first_look = True


class ExecutionFeed:
    """Who watches which workspace; `run` looks for what they wait for."""

    def __init__(self, logs: ExecutionLogTable, clock: Clock, *, interval_s: float = INTERVAL_S) -> None:
        self._logs = logs
        self._clock = clock
        self._interval_s = interval_s
        self._workspaces: dict[str, _WatchedWorkspace] = {}
        self._woken = asyncio.Event()

    @contextmanager
    def watch(self, workspace_id: str, function_id: str | None = None) -> Iterator[ExecutionWatcher]:
        """Watch a workspace; released when the block is left, in any way."""
        now = self._clock()
        watcher = ExecutionWatcher(function_id, now)
        watched = self._workspaces.setdefault(workspace_id, _WatchedWorkspace(now))
        watched.watchers.add(watcher)
        self._woken.set()
        try:
            yield watcher
        finally:
            watched.watchers.discard(watcher)
            if not watched.watchers:
                self._workspaces.pop(workspace_id, None)

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

        await asyncio.gather(*(look(*each) for each in list(self._workspaces.items())))

    async def _look(self, workspace_id: str, watched: _WatchedWorkspace) -> None:
        now = self._clock()
        since = watched.read_until - OVERLAP
        found: list[ExecutionLogRecord] = []
        after: str | None = None
        while True:
            page = await self._logs.list_of_workspace(
                workspace_id, first=PAGE, after=after, wanted=ExecutionLogFilter(since=since), bodies=True
            )
            found += page.items
            if not page.has_next:
                break
            after = page.end
        for log in reversed(found):
            if log.id in watched.seen:
                continue
            watched.seen[log.id] = log.timestamp
            if watched.is_first_look and log.timestamp < watched.began:
                continue  # from before anybody watched
            for watcher in watched.watchers:
                watcher.offer(log)
        watched.seen = {id_: at for id_, at in watched.seen.items() if at >= since}
        watched.read_until = now
        watched.is_first_look = False
