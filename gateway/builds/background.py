"""Loops and batches in the background, which what goes wrong in them does not end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

RESTART_S = 1.0
"""Before a loop that ended is started again: one that can't run must not fill the log."""

logger = logging.getLogger(__name__)


async def keep_running(name: str, run: Callable[[], Awaitable[object]], *, restart_s: float = RESTART_S) -> None:
    """Run a loop that is not meant to end, and again whenever it does, until cancelled."""
    while True:
        try:
            await run()
            logger.error("%s ended; it is started again", name)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            logger.exception("%s was cancelled by nobody; it is started again", name)
        except GeneratorExit:
            raise
        except BaseException:
            logger.exception("%s broke; it is started again", name)
        await asyncio.sleep(restart_s)


async def gather_bounded(at_once: int, calls: Iterable[Awaitable[None]]) -> None:
    """Await all, so many at a time; then raise the first error that there was."""
    slots = asyncio.Semaphore(at_once)

    async def one(call: Awaitable[None]) -> None:
        async with slots:
            await call

    outcomes = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
