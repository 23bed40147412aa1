"""When builds are polled: `run` is a loop around `tick`, which starts a step of every build that is due.

A build is due at once after its start, then every interval with jitter; what fails on the way is put off with
exponential backoff and never ends the loop or another build. What a step does is carrier.py's.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.builds.carrier import BuildCarrier
from gateway.builds.feed import BuildFeed
from gateway.builds.pipeline import Journey
from gateway.errors import GatewayError
from gateway.records.builds import AcceptedTask, BuildRecord, BuildStatus

MAX_BACKOFF_S = 30.0
"""A builder that comes back is noticed within half a minute."""
MAX_ENDPOINT_INTERVAL_S = 5.0
"""Between two questions for a deploy's endpoint; where builds are polled more often, so is this."""
MAX_IDLE_S = 5.0
"""Between two rounds with nothing to do: the age of the last round is what readiness looks at."""
JITTER = 0.1
"""Part of an interval by which it varies, so that builds started together are not polled together."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Schedule:
    journey: Journey
    due: float
    busy: bool = False
    failures: int = 0


class BuildPoller:
    """Carries the unfinished builds of this replica; `monotonic` and `jitter` (0 to 1) are handed in by tests."""

    def __init__(
        self,
        carrier: BuildCarrier,
        feed: BuildFeed,
        *,
        interval_s: float,
        concurrency: int,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._carrier = carrier
        self._feed = feed
        self._interval_s = interval_s
        self._slots = asyncio.Semaphore(concurrency)
        self._monotonic = monotonic
        self._jitter = jitter
        self._schedules: dict[str, _Schedule] = {}
        self._woken = asyncio.Event()
        self._last_round = monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last round began; above a minute the loop is dead."""
        return self._monotonic() - self._last_round

    @property
    def carried(self) -> int:
        """How many builds are under way."""
        return len(self._schedules)

    def follow(self, build: BuildRecord, *, fresh: bool = False, accepted: AcceptedTask | None = None) -> None:
        """Carry a build from now on.

        `fresh` is a deploy that was stored a moment ago and is yet to be handed to the builder; `accepted` is the
        builder's answer where the row could not be told.
        """
        if build.id in self._schedules or build.status.is_final:
            return
        journey = Journey(build, fresh=fresh, accepted=accepted)
        self._schedules[build.id] = _Schedule(journey, due=self._monotonic())
        self._woken.set()

    async def run(self) -> None:
        """Carry builds until cancelled, those that a process before this one left unfinished included."""
        async with asyncio.TaskGroup() as group:
            await self._recover()
            while True:
                self._woken.clear()
                self.tick(group)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._until_next()):
                        await self._woken.wait()

    def tick(self, group: asyncio.TaskGroup) -> None:
        """Start a step of every build that is due and not under way."""
        self._last_round = now = self._monotonic()
        for build_id, schedule in self._schedules.items():
            if schedule.due <= now and not schedule.busy:
                schedule.busy = True
                group.create_task(self._step(schedule), name=f"build {build_id}")

    async def _recover(self) -> None:
        """Take up what is not finished; asked for until DynamoDB answers."""
        unfinished: list[BuildRecord] | None = None
        while unfinished is None:
            self._last_round = self._monotonic()
            try:
                unfinished = await self._carrier.list_unfinished()
            except GatewayError as error:
                logger.warning("unfinished builds could not be read: %s", error)
                await asyncio.sleep(min(self._interval_s, MAX_IDLE_S))
        for build in unfinished:
            self._feed.publish(build)
            self.follow(build)
        if unfinished:
            logger.info("took up %d unfinished builds", len(unfinished))

    async def _step(self, schedule: _Schedule) -> None:
        """One step of one build; whatever is raised in it puts the next one off."""
        before = schedule.journey.build
        try:
            async with self._slots:
                build = await self._carrier.carry(schedule.journey)
        except GatewayError as error:
            self._put_off(schedule, error)
        except Exception as error:
            logger.exception("build %s: a step failed unexpectedly", before.id)
            self._put_off(schedule, error)
        else:
            schedule.failures = 0
            if build is None or build.status.is_final:
                del self._schedules[before.id]
            else:
                schedule.journey.build = build
                schedule.due = self._monotonic() + self._delay(before, build)
        finally:
            schedule.busy = False
            self._woken.set()

    def _delay(self, before: BuildRecord, build: BuildRecord) -> float:
        deploying = build.status is BuildStatus.DEPLOYING
        entered = before.status is not build.status
        if (deploying and entered) or before.builder_task_id != build.builder_task_id:
            return 0.0
        interval = min(self._interval_s, MAX_ENDPOINT_INTERVAL_S) if deploying else self._interval_s
        return self._varied(interval)

    def _put_off(self, schedule: _Schedule, error: Exception) -> None:
        schedule.failures += 1
        delay = self._varied(min(self._interval_s * 2**schedule.failures, MAX_BACKOFF_S))
        schedule.due = self._monotonic() + delay
        logger.warning("build %s: next try in %.1f s: %s", schedule.journey.build.id, delay, error)

    def _varied(self, delay: float) -> float:
        return delay * (1 + JITTER * (2 * self._jitter() - 1))

    def _until_next(self) -> float:
        waiting = [schedule.due for schedule in self._schedules.values() if not schedule.busy]
        return max(min([*waiting, self._monotonic() + MAX_IDLE_S]) - self._monotonic(), 0.0)
