"""The loops that carry builds, for the life of the process, and how they end: everything is handed over first."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.builds.background import keep_running
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.lease import Leases
from gateway.builds.lookout import Lookout
from gateway.builds.poller import BuildPoller

Loop = Callable[[], Awaitable[None]]

LAST_WRITES_S = 2.0
"""For the leases of what could not be handed over in time; they pass by themselves otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLoops:
    """What runs in the background of a replica."""

    poller: BuildPoller
    lookout: Lookout
    leases: Leases
    endpoints: EndpointSearch

    @property
    def age_s(self) -> float:
        """Seconds since the last sign of life of the loop that is silent for longest."""
        return max(self.poller.age_s, self.lookout.age_s)

    @asynccontextmanager
    async def running(
        self, draining: asyncio.Event, *, drain_timeout_s: float, others: Mapping[str, Loop]
    ) -> AsyncIterator[None]:
        """Run within the block, `others` beside. Builds are handed over when `draining` is set, or at its end.

        What can't be handed over in the middle gets `drain_timeout_s` from then on.
        """
        deadline: float | None = None

        async def hand_over() -> None:
            nonlocal deadline
            await draining.wait()
            deadline = time.monotonic() + drain_timeout_s
            await asyncio.gather(self.poller.drain(), self.endpoints.drain())

        async with asyncio.TaskGroup() as group:
            loops = {
                "the poller": self.poller.run,
                "the lookout": self.lookout.run,
                "the renewal of leases": self.leases.run,
                "the search for endpoints": self.endpoints.run,
                **others,
            }
            tasks = [group.create_task(keep_running(name, run)) for name, run in loops.items()]
            tasks.append(group.create_task(hand_over()))
            try:
                yield
            finally:
                left_s = drain_timeout_s if deadline is None else max(deadline - time.monotonic(), 0.0)
                await _within(left_s, asyncio.gather(self.poller.drain(), self.endpoints.drain()))
                for task in tasks:
                    task.cancel()
        await _within(LAST_WRITES_S, self.leases.give_up_all())


async def _within(seconds: float, call: Awaitable[object]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await call
