"""The builds that this replica may carry, and until when: taken, kept and given up by conditional writes.

A lease is a time on the wall clock, and the replicas' clocks differ: what another has is taken only when its lease
has passed by CLOCK_SKEW_S. Looking for such builds is lookout.py's.
"""

import asyncio
import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.builds.background import gather_bounded
from gateway.errors import GatewayError
from gateway.records.builds import ActiveBuild, Lease, LeaseLostError
from gateway.records.clock import CLOCK_SKEW_S, Clock
from gateway.upstream.dynamo.leases import LeaseTable

ROUNDS_PER_LEASE = 15
"""How often in the length of a lease it is looked which have to be renewed: five times in the last third."""
WRITES_AT_ONCE = 25
"""Of leases; a thousand builds are renewed within a second, and pages still get their connections."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    until: datetime
    since: datetime


class Leases:
    """The leases of this replica, which is `owner`; no build is held for longer than `max_held_s`."""

    def __init__(self, table: LeaseTable, *, owner: str, lease_s: float, max_held_s: float, clock: Clock) -> None:
        self._table = table
        self.owner = owner
        self._length = timedelta(seconds=lease_s)
        self._max_held = timedelta(seconds=max_held_s)
        self._clock = clock
        self._held: dict[str, _Held] = {}

    @property
    def held(self) -> frozenset[str]:
        """The builds that this replica carries, as far as it knows."""
        return frozenset(self._held)

    def has(self, build_id: str) -> bool:
        """Whether this replica carries the build, as far as it knows."""
        return build_id in self._held

    def next(self) -> Lease:
        """A lease from now on."""
        return Lease(owner=self.owner, until=self._clock() + self._length)

    def hold(self, build_id: str, lease: Lease) -> None:
        """Note a lease that was just stored with a new build."""
        self._held[build_id] = _Held(until=lease.until, since=self._clock())

    def prolong(self, build_id: str, lease: Lease) -> None:
        """Note a renewal that was stored; what was let go meanwhile stays so."""
        held = self._held.get(build_id)
        if held is not None:
            held.until = max(held.until, lease.until)

    def drop(self, build_id: str) -> None:
        """Carry the build no more: it is finished, or another's."""
        self._held.pop(build_id, None)

    def require(self, build_id: str) -> None:
        """LeaseLostError unless nobody else may carry the build at this moment; asks nobody."""
        held = self._held.get(build_id)
        if held is None or held.until <= self._clock():
            raise LeaseLostError

    async def ensure(self, build_id: str) -> None:
        """Renew a lease that has passed while this process slept; LeaseLostError where another took the build."""
        held = self._held.get(build_id)
        if held is None or (held.until <= self._clock() and not await self._renew(build_id)):
            raise LeaseLostError

    async def take(self, active: Iterable[ActiveBuild]) -> list[str]:
        """Take what nobody carries; the ids of what was got. Replicas that race get a part each."""
        passed_before = self._clock() - timedelta(seconds=CLOCK_SKEW_S)
        free = [
            build.id
            for build in active
            if build.id not in self._held and (build.lease is None or build.lease.until < passed_before)
        ]
        random.shuffle(free)
        taken: list[str] = []

        async def take(build_id: str) -> None:
            lease = self.next()
            try:
                if await self._table.take(build_id, lease, passed_before=passed_before):
                    self.hold(build_id, lease)
                    taken.append(build_id)
            except GatewayError as error:
                logger.warning("build %s could not be taken over: %s", build_id, error)
            except Exception:  # what was taken beside it has to be known, or nobody would carry that
                logger.exception("build %s could not be taken over", build_id)

        await gather_bounded(WRITES_AT_ONCE, (take(build_id) for build_id in free))
        return taken

    async def renew_due(self) -> None:
        """Renew what has a third of its time left; one that could not be is tried again in the next round.

        One that was held for too long is left alone: something here went wrong, and whoever takes the build over
        (this replica too) starts afresh.
        """
        now = self._clock()
        for build_id in [id_ for id_, held in self._held.items() if now - held.since > self._max_held]:
            logger.warning("build %s is let go: it should have ended long ago", build_id)
            self.drop(build_id)
        by_end = sorted(self._held.items(), key=lambda item: item[1].until)
        due = [id_ for id_, held in by_end if held.until - now < self._length / 3]

        async def renew(build_id: str) -> None:
            try:
                await self._renew(build_id)
            except GatewayError as error:
                logger.warning("the lease of build %s could not be renewed: %s", build_id, error)

        await gather_bounded(WRITES_AT_ONCE, (renew(build_id) for build_id in due))

    async def give_up(self, build_id: str) -> None:
        """Leave a build to the others, now; where DynamoDB can't be told, when its lease has passed."""
        if self._held.pop(build_id, None) is None:
            return
        try:
            await self._table.give_up(build_id, self.owner)
        except GatewayError as error:
            logger.warning("the lease of build %s could not be given up: %s", build_id, error)

    async def give_up_all(self) -> None:
        """Leave all builds to the others."""
        await gather_bounded(WRITES_AT_ONCE, (self.give_up(build_id) for build_id in self.held))

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await asyncio.sleep(self._length.total_seconds() / ROUNDS_PER_LEASE)
            await self.renew_due()

    async def _renew(self, build_id: str) -> bool:
        lease = self.next()
        if await self._table.renew(build_id, lease):
            self.prolong(build_id, lease)
            return True
        if build_id in self._held:
            logger.warning("build %s is carried by another replica by now", build_id)
            self.drop(build_id)
        return False
