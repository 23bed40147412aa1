"""When builds are polled: `run` is a loop around `tick`, which starts a step of every build that is due.

A build is due at once after its start, then every interval with jitter; what fails on the way is put off with
exponential backoff and never ends the loop or another build. What a step does is carrier.py's, which builds are
this replica's is lease.py's.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.builds.carrier import BuildCarrier
from gateway.builds.journey import Journey
from gateway.builds.lease import Leases
from gateway.errors import GatewayError
from gateway.records.builder import AcceptedTask
from gateway.records.builds import BuildRecord, BuildStatus, LeaseLostError

MAX_BACKOFF_S = 30.0
"""A builder that comes back is noticed within half a minute."""
LAST_STEP_S = 180.0
"""For the step that ends a build whose time is up: one may be under way, of which a deploy takes two minutes."""
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
    task: asyncio.Task[None] | None = None
    """The step under way."""
    failures: int = 0

    @property
    def busy(self) -> bool:
        """Whether a step is under way."""
        return self.task is not None and not self.task.done()


class BuildPoller:
    """Carries the builds this replica has leased; `monotonic` and `jitter` (0 to 1) are handed in by tests."""

    def __init__(
        self,
        carrier: BuildCarrier,
        leases: Leases,
        *,
        interval_s: float,
        concurrency: int,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._carrier = carrier
        self._leases = leases
        self._interval_s = interval_s
        self._polls = asyncio.Semaphore(concurrency)
        self._effects = asyncio.Semaphore(concurrency)
        self._monotonic = monotonic
        self._jitter = jitter
        self._schedules: dict[str, _Schedule] = {}
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_round = monotonic()
        self.draining = False

    @property
    def age_s(self) -> float:
        """Seconds since the last round that went well; above a minute the loop is dead."""
        return self._monotonic() - self._last_round

    @property
    def carried(self) -> int:
        """How many builds are under way."""
        return len(self._schedules)

    def follow(
        self,
        build: BuildRecord,
        *,
        accepted: AcceptedTask | None = None,
        refusal: str | None = None,
        secret: str = "",
    ) -> None:
        """Carry a build from now on, for as long as its lease is this replica's.

        `accepted` is the builder's answer, and `refusal` why the build is to end, where the row could not be told.
        `secret` is the registry's password that the builder has, and may repeat.
        """
        if build.id in self._schedules or build.status.is_final or not self._leases.has(build.id):
            return
        journey = Journey(build, accepted=accepted, refusal=refusal, secret=secret)
        self._schedules[build.id] = _Schedule(journey, due=self._monotonic())
        self._idle.clear()
        self._woken.set()

    async def run(self) -> None:
        """Carry builds until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._woken.clear()
                try:
                    self.tick(group)
                    pause_s = self._until_next()
                except Exception:
                    logger.exception("a round failed unexpectedly")
                    pause_s = MAX_IDLE_S
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._woken.wait()

    def tick(self, group: asyncio.TaskGroup) -> None:
        """Start a step of every build that is due and not under way; let go what is another's by now."""
        now = self._monotonic()
        for build_id, schedule in list(self._schedules.items()):
            if schedule.busy:
                continue
            if not self._leases.has(build_id):
                self._forget(build_id)
            elif self.draining and not _is_ours_alone(schedule):
                schedule.task = group.create_task(self._hand_over(schedule), name=f"hand over {build_id}")
            elif schedule.due <= now:
                schedule.task = group.create_task(self._step(schedule), name=f"build {build_id}")
        self._last_round = now

    async def drain(self) -> None:
        """Hand all builds to the other replicas, now; returns when the last one is.

        A poll under way is cut. What has an effect at the builder is finished first: an upload that was cut would
        fail the build, and a deploy would be made twice at once.
        """
        if not self.draining:
            self.draining = True
            logger.info("handing %d unfinished builds over", len(self._schedules))
            for schedule in self._schedules.values():
                if schedule.task is not None and not _must_finish(schedule.journey):
                    schedule.task.cancel()
            self._woken.set()
        await self._idle.wait()

    async def _hand_over(self, schedule: _Schedule) -> None:
        build_id = schedule.journey.build.id
        try:
            await self._leases.give_up(build_id)
        finally:
            self._forget(build_id)

    async def _step(self, schedule: _Schedule) -> None:
        """One step of one build; whatever is raised in it puts the next one off."""
        before = schedule.journey.build
        slots = self._effects if _must_finish(schedule.journey) else self._polls  # polls may hang for long
        try:
            async with slots:
                build = await self._carrier.carry(schedule.journey)
        except LeaseLostError:
            self._leases.drop(before.id)
        except GatewayError as error:
            self._put_off(schedule, error)
        except asyncio.CancelledError as error:
            self._put_off(schedule, error)
            raise
        except BaseException as error:
            logger.exception("build %s: a step failed unexpectedly", before.id)
            self._put_off(schedule, error)
        else:
            schedule.failures = 0
            if build is None or build.status.is_final:
                self._leases.drop(before.id)
            else:
                schedule.journey.build = build
                schedule.due = self._monotonic() + self._delay(before, build)
        finally:
            schedule.task = None
            if not self._leases.has(before.id):
                self._forget(before.id)
            self._woken.set()

    def _forget(self, build_id: str) -> None:
        self._schedules.pop(build_id, None)
        if not self._schedules:
            self._idle.set()

    def _delay(self, before: BuildRecord, build: BuildRecord) -> float:
        deploying = build.status is BuildStatus.DEPLOYING
        entered = before.status is not build.status
        if (deploying and entered) or before.builder_task_id != build.builder_task_id:
            return 0.0
        interval = min(self._interval_s, MAX_ENDPOINT_INTERVAL_S) if deploying else self._interval_s
        return self._varied(interval)

    def _put_off(self, schedule: _Schedule, error: BaseException) -> None:
        schedule.failures += 1
        delay = self._varied(min(self._interval_s * 2 ** min(schedule.failures, 10), MAX_BACKOFF_S))
        schedule.due = self._monotonic() + delay
        reason = str(error) or type(error).__name__
        logger.warning("build %s: next try in %.1f s: %s", schedule.journey.build.id, delay, reason)

    def _varied(self, delay: float) -> float:
        return delay * (1 + JITTER * (2 * self._jitter() - 1))

    def _until_next(self) -> float:
        waiting = [schedule.due for schedule in self._schedules.values() if not schedule.busy]
        return max(min([*waiting, self._monotonic() + MAX_IDLE_S]) - self._monotonic(), 0.0)


def _is_ours_alone(schedule: _Schedule) -> bool:
    """Whether this process has to take the next step: what comes next, or came, is not in the table.

    One that was tried in vain can be tried by any other.
    """
    journey = schedule.journey
    return _is_unheard(journey) or (_is_unsent(journey) and schedule.failures == 0)


def _must_finish(journey: Journey) -> bool:
    """Whether a step under way has an effect at the builder, or is this process's alone."""
    return _is_unheard(journey) or _is_unsent(journey) or journey.build.status is BuildStatus.DEPLOYING


def _is_unheard(journey: Journey) -> bool:
    """Whether the row could not be told what became of the build at the builder."""
    return _has_no_task(journey) and (journey.accepted is not None or journey.refusal is not None)


def _is_unsent(journey: Journey) -> bool:
    """Whether the builder gets it with the next step, or at this moment."""
    return _has_no_task(journey) and journey.searched_since is None


def _has_no_task(journey: Journey) -> bool:
    return journey.build.status is BuildStatus.PENDING and journey.build.builder_task_id is None
