"""Changes of builds: stored first, then published; what watchers see is what is stored."""

import logging
from dataclasses import replace
from datetime import timedelta

from gateway.builds.feed import BuildFeed
from gateway.records.builds import BuildChangedError, BuildRecord, DeploymentRecord
from gateway.records.clock import Clock
from gateway.upstream.dynamo.builds import BuildTable

logger = logging.getLogger(__name__)


class BuildJournal:
    """Writes builds for this replica, which owns those it creates for `lease_s` seconds."""

    def __init__(self, builds: BuildTable, feed: BuildFeed, *, owner: str, lease_s: float, clock: Clock) -> None:
        self._builds = builds
        self._feed = feed
        self._owner = owner
        self._lease = timedelta(seconds=lease_s)
        self._clock = clock

    async def create(self, build: BuildRecord) -> BuildRecord:
        """Store a new build; NotFoundError and ConflictError are BuildTable's."""
        build = replace(build, owner=self._owner)
        await self._builds.create(build, lease_until=self._clock() + self._lease)
        logger.info("build %s of %s: %s", build.id, build.workspace_id, build.status.value)
        self._feed.publish(build)
        return build

    async def store(
        self, build: BuildRecord, following: BuildRecord | None, *, deployment: DeploymentRecord | None = None
    ) -> BuildRecord | None:
        """Store what follows `build` and answer what is stored then; None where the build was deleted.

        Where another has changed it meanwhile, that stands. FunctionGoneError is BuildTable.advance's.
        """
        if following is None:
            return build
        try:
            await self._builds.advance(build, following, deployment=deployment)
        except BuildChangedError:
            return await self.read_again(build)
        logger.info("build %s of %s: %s", following.id, following.workspace_id, following.status.value)
        self._feed.publish(following)
        return following

    async def accept(self, build: BuildRecord, task_id: str, source_path: str | None) -> BuildRecord | None:
        """Note the builder's task; otherwise like `store`."""
        try:
            return await self._builds.accept(build, task_id, source_path)
        except BuildChangedError:
            return await self.read_again(build)

    async def read_again(self, build: BuildRecord) -> BuildRecord | None:
        """The build as it is stored now; None where it was deleted."""
        current = await self._builds.get(build.id)
        if current is None:
            self._feed.lose(build.id)
        else:
            self._feed.publish(current)
        return current
