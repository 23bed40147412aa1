"""Counting numbers up on rows that many write to at once: one update of a row under way, the others wait as one.

200 invocations that end together are a few updates of their row and of their workspace's, not 400, and no longer
stand in line at DynamoDB, which makes the updates of one row one after the other.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Mapping

from gateway.upstream.dynamo.keys import Key

Number = int | float
MAX_DECIMALS = 3
"""Sums of doubles get digits that nobody measured."""
SETTLE_S = 1.0
"""The most that a read waits for additions; those to a row that DynamoDB throttles take longer."""

AddToRow = Callable[[Key, Mapping[str, Number]], Awaitable[bool]]
"""Adds numbers to a row's attributes in one update; answers whether the row is there."""


class Additions:
    """Joins additions to the same row; each caller waits until its own are stored, and hears of their failure."""

    def __init__(self, add_to_row: AddToRow) -> None:
        self._add_to_row = add_to_row
        self._waiting: dict[Key, Counter[str]] = {}
        self._last: dict[Key, asyncio.Task[bool]] = {}

    async def add(self, key: Key, numbers: Mapping[str, Number]) -> bool:
        """Add to a row's numbers; whether the row is there. A caller that is cancelled has added all the same."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = Counter()
            task = asyncio.create_task(self._write(key, self._last.get(key)))
            self._last[key] = task
        waiting.update(numbers)
        return await asyncio.shield(self._last[key])

    async def settle(self, partitions: Container[str]) -> None:
        """Wait for the additions so far to rows of these partitions, so that who reads them next finds them."""
        writing = [task for key, task in self._last.items() if key.pk in partitions]
        if writing:
            await asyncio.wait(writing, timeout=SETTLE_S)

    async def _write(self, key: Key, before: asyncio.Task[bool] | None) -> bool:
        """Write what waits for a row, once the update before it is done; what comes from then on waits again."""
        if before is not None:
            await asyncio.wait([before])
        numbers = self._waiting.pop(key)
        try:
            return await self._add_to_row(
                key, {name: round(number, MAX_DECIMALS) for name, number in numbers.items()}
            )
        finally:
            if self._last.get(key) is asyncio.current_task():
                del self._last[key]
