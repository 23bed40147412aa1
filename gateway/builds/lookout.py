"""One look a second at the builds of all replicas: what nobody carries is taken over, what is watched is read.

That is recovery after a crash, a deploy and a scale-down, and how changes reach watchers on other replicas. A look
is one Query of the index of unfinished builds, and one BatchGetItem where builds of other replicas are watched.
While workspaces are watched, the same Query finds what has ended in the last seconds: it may have begun after the
look before.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

from gateway.builds.feed import BuildFeed
from gateway.builds.lease import Leases
from gateway.builds.poller import BuildPoller
from gateway.errors import GatewayError
from gateway.records.builds import ActiveBuild
from gateway.records.clock import Clock, system_clock
from gateway.upstream.dynamo.builds import BuildTable

LOOK_INTERVAL_S = 1.0
"""From one look to the next: watchers on other replicas see a change 1.5 s after it was stored at the latest."""
MAX_PAUSE_S = 5.0
"""Between two looks at a table that answers slowly, or not at all."""
OVERLAP = timedelta(seconds=10)
"""Looked at again each time: the index lags by about a second, clocks differ by two, writes are tried again."""
JITTER = 0.1
"""Part of the interval by which it varies, so that replicas do not look, and take over, all at once."""

logger = logging.getLogger(__name__)


class Lookout:
    """Looks at what the other replicas do; the clocks are handed in by tests."""

    def __init__(
        self,
        builds: BuildTable,
        leases: Leases,
        poller: BuildPoller,
        feed: BuildFeed,
        *,
        clock: Clock = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._builds = builds
        self._leases = leases
        self._poller = poller
        self._feed = feed
        self._clock = clock
        self._monotonic = monotonic
        self._last_look = monotonic()
        self._read_until = clock()
        self._taken: set[str] = set()
        """Builds that were taken over and could not be read yet: until they are, nobody carries them."""

    @property
    def age_s(self) -> float:
        """Seconds since the last look began."""
        return self._monotonic() - self._last_look

    async def run(self) -> None:
        """Look until cancelled; where DynamoDB does not answer, the next look is the next try."""
        while True:
            self._last_look = began = self._monotonic()
            try:
                await self.look()
            except GatewayError as error:
                logger.warning("the unfinished builds could not be read: %s", error)
            took = self._monotonic() - began
            interval = LOOK_INTERVAL_S * (1 + random.uniform(-JITTER, JITTER))  # noqa: S311  # jitter is no secret
            await asyncio.sleep(max(interval - took, min(took, MAX_PAUSE_S)))

    async def look(self) -> None:
        """One look."""
        before, now = self._leases.held, self._clock()
        since = self._read_until - OVERLAP if self._feed.watched_workspaces else None
        listed = await self._builds.leases.list_active(ended_since=since)
        active = [build for build in listed if not build.has_ended]
        if not self._poller.draining:
            await self._take_over(active)
        ended = [build for build in listed if build.has_ended]
        await self._read(self._to_read(active, before) | self._to_show(ended))
        self._feed.forget_all_but(self._leases.held)
        self._read_until = now

    async def _take_over(self, active: Iterable[ActiveBuild]) -> None:
        self._taken.update(await self._leases.take(active))
        if not self._taken:
            return
        stored = await self._builds.get_many(self._taken)
        unfinished = {id_: build for id_, build in stored.items() if not build.status.is_final}
        over = self._taken - unfinished.keys()
        self._taken.clear()
        for build in unfinished.values():
            self._feed.publish(build)
            self._poller.follow(build)
        logger.info("took over %d unfinished builds", len(unfinished))
        for build_id in over:
            self._leases.drop(build_id)
            await self._builds.leases.retire(build_id)

    def _to_read(self, active: Iterable[ActiveBuild], held_before: frozenset[str]) -> set[str]:
        """The builds whose state has to be read.

        Those carried by others that are watched; those that are known here and have left the index, ours too: they
        were cancelled on another replica, or deleted, or the index lags.
        """
        listed = {build.id for build in active}
        workspaces = self._feed.watched_workspaces
        watched = {build.id for build in active if build.workspace_id in workspaces} | self._feed.watched_builds
        known = {id_ for id_, build in self._feed.unfinished.items() if build.workspace_id in workspaces}
        ours = self._leases.held
        return (watched - ours) | (known - listed - ours) | ((held_before & ours) - listed)

    def _to_show(self, ended: Iterable[ActiveBuild]) -> set[str]:
        """What ended in watched workspaces, and is not known to have."""
        workspaces = self._feed.watched_workspaces
        return {
            build.id for build in ended if build.workspace_id in workspaces and not self._feed.has_ended(build.id)
        }

    async def _read(self, build_ids: set[str]) -> None:
        found = await self._builds.get_many(build_ids) if build_ids else {}
        for build_id in build_ids:
            build = found.get(build_id)
            if build is None:
                self._leases.drop(build_id)
                self._feed.lose(build_id)
                continue
            if build.status.is_final:
                self._leases.drop(build_id)
            self._feed.publish(build)
