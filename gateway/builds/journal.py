"""Changes of builds: stored first, then published; what watchers see is what is stored."""

import logging
from dataclasses import replace

from gateway.builds.feed import BuildFeed
from gateway.builds.lease import Leases
from gateway.records.builds import (
    BuildChangedError,
    BuildRecord,
    BuildStatus,
    DeploymentRecord,
    LeaseLostError,
)
from gateway.upstream.dynamo.builds import BuildTable

logger = logging.getLogger(__name__)


class BuildJournal:
    """Writes builds for this replica, which carries those it creates; each change renews the lease with it."""

    def __init__(self, builds: BuildTable, feed: BuildFeed, leases: Leases) -> None:
        self._builds = builds
        self._feed = feed
        self._leases = leases

    async def create(self, build: BuildRecord) -> BuildRecord:
        """Store a new build; NotFoundError and ConflictError are BuildTable's.

        It is this replica's from then on: its lease is renewed until the build has ended, or the poller hands it
        over.
        """
        lease = self._leases.next()
        build = replace(build, owner=lease.owner)
        await self._builds.create(build, lease_until=lease.until)
        self._leases.hold(build.id, lease)
        logger.info("build %s of %s: %s", build.id, build.workspace_id, build.status.value)
        self._feed.publish(build)
        return build

    async def store(
        self, build: BuildRecord, following: BuildRecord | None, *, deployment: DeploymentRecord | None = None
    ) -> BuildRecord | None:
        """Store what follows `build` and answer what is stored then; None where the build was deleted.

        Where another has changed it meanwhile, or carries it, that stands: only CANCELLED may be stored by
        anybody. FunctionGoneError is BuildTable.advance's.
        """
        if following is None:
            return build
        lease = None if following.status is BuildStatus.CANCELLED else self._leases.next()
        try:
            await self._builds.advance(build, following, lease=lease, deployment=deployment)
        except BuildChangedError:
            return await self.read_again(build)
        except LeaseLostError:
            self._leases.drop(build.id)
            return await self.read_again(build)
        if following.status.is_final:
            self._leases.drop(build.id)
        elif lease is not None:
            self._leases.prolong(build.id, lease)
        logger.info("build %s of %s: %s", following.id, following.workspace_id, following.status.value)
        self._feed.publish(following)
        return following

    async def accept(self, build: BuildRecord, task_id: str, source_path: str | None) -> BuildRecord | None:
        """Note the builder's task; otherwise like `store`."""
        lease = self._leases.next()
        try:
            accepted = await self._builds.accept(build, task_id, source_path, lease=lease)
        except BuildChangedError:
            return await self.read_again(build)
        except LeaseLostError:
            self._leases.drop(build.id)
            return await self.read_again(build)
        self._leases.prolong(build.id, lease)
        return accepted

    async def mark_sent(self, build: BuildRecord, attempt: str) -> BuildRecord:
        """Note that the builder gets the build from this attempt, at once after; the build as it is then.

        BuildChangedError where another attempt has noted itself, or the build has ended; LeaseLostError where
        another replica carries it.
        """
        self.require_lease(build)
        await self._builds.handovers.mark_sent(build, attempt)
        return replace(build, sent_by=attempt)

    async def unmark_sent(self, build: BuildRecord, attempt: str) -> None:
        """Take that note back, since the builder has not accepted it; BuildChangedError as above."""
        await self._builds.handovers.unmark_sent(build, attempt)

    def require_lease(self, build: BuildRecord) -> None:
        """LeaseLostError where another replica may carry the build by now.

        Before each call that has an effect outside: this process may have been paused for longer than its lease.
        """
        self._leases.require(build.id)

    async def read_again(self, build: BuildRecord) -> BuildRecord | None:
        """The build as it is stored now; None where it was deleted."""
        current = await self._builds.get(build.id)
        if current is None:
            self._leases.drop(build.id)
            self._feed.lose(build.id)
            return None
        if current.status.is_final:
            self._leases.drop(build.id)
        self._feed.publish(current)
        return current
