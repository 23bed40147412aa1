"""Counting up rows that many write to at once."""

import asyncio
from collections.abc import Mapping

import pytest

from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.additions import Additions, Number
from gateway.upstream.dynamo.keys import Key
from tests.stores import StoppedClock
from tests.upstream.dynamo.test_figures import make_function, read

ROW, OTHER = Key("a", "1"), Key("a", "2")


class Rows:
    """Remembers the updates; each waits until it is let go."""

    def __init__(self) -> None:
        self.updates: list[tuple[Key, dict[str, Number]]] = []
        self.let_go = asyncio.Semaphore(0)
        self.failure: Exception | None = None

    async def add(self, key: Key, numbers: Mapping[str, Number]) -> bool:
        """Note an update."""
        self.updates.append((key, dict(numbers)))
        await self.let_go.acquire()
        if self.failure is not None:
            raise self.failure
        return True


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_add_when_an_update_is_under_way() -> None:
    """What comes meanwhile is the next update, as one; other rows do not wait."""
    rows = Rows()
    additions = Additions(rows.add)
    first = asyncio.create_task(additions.add(ROW, {"i": 1, "d": 0.1}))
    await settle()
    later = [asyncio.create_task(additions.add(ROW, {"i": 1, "d": 0.1})) for _ in range(3)]
    other = asyncio.create_task(additions.add(OTHER, {"i": 1}))
    await settle()
    assert rows.updates == [(ROW, {"i": 1, "d": 0.1}), (OTHER, {"i": 1})]
    rows.let_go.release()
    rows.let_go.release()
    await settle()
    assert (first.done(), other.done(), any(task.done() for task in later)) == (True, True, False)
    assert rows.updates[2:] == [(ROW, {"i": 3, "d": 0.3})]
    rows.let_go.release()
    assert await asyncio.gather(*later) == [True, True, True]


async def test_add_when_an_update_fails() -> None:
    """Whoever waits for it hears of it, and the next one starts anew."""
    rows = Rows()
    additions = Additions(rows.add)
    rows.failure = RuntimeError("no")
    waiting = [asyncio.create_task(additions.add(ROW, {"i": 1})) for _ in range(2)]
    rows.let_go.release()
    assert [str(each) for each in await asyncio.gather(*waiting, return_exceptions=True)] == ["no", "no"]
    rows.failure = None
    rows.let_go.release()
    assert await additions.add(ROW, {"i": 5})
    assert rows.updates == [(ROW, {"i": 2}), (ROW, {"i": 5})]


async def test_add_when_a_caller_is_cancelled() -> None:
    """Its own addition is stored with the others'."""
    rows = Rows()
    additions = Additions(rows.add)
    gone = asyncio.create_task(additions.add(ROW, {"i": 1}))
    stays = asyncio.create_task(additions.add(ROW, {"i": 1}))
    await settle()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    rows.let_go.release()
    assert await stays
    assert rows.updates == [(ROW, {"i": 2})]


async def test_settle_while_rows_are_written() -> None:
    """It waits for what was added before to rows of these partitions, and for nothing else."""
    rows = Rows()
    additions = Additions(rows.add)
    adding = [asyncio.create_task(additions.add(ROW, {"i": 1}))]
    await settle()
    adding.append(asyncio.create_task(additions.add(ROW, {"i": 1})))
    await settle()
    await additions.settle({"b"})
    settling = asyncio.create_task(additions.settle({"a"}))
    rows.let_go.release()
    await settle()
    assert not settling.done()
    rows.let_go.release()
    await settling
    assert await asyncio.gather(*adding) == [True, True]


async def test_count_when_200_end_at_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """200 concurrent invocations are 200, in far fewer updates."""
    await make_function(dynamo, clock)
    with recording_calls() as calls:
        await asyncio.gather(
            *(
                dynamo.figures.count("ws-00000001", "fn-00000001", at=clock(), is_error=False, duration_ms=0.1)
                for _ in range(200)
            )
        )
    for figures in await read(dynamo):
        assert (figures.invocations, figures.errors, round(figures.avg_duration_ms, 9)) == (200, 0, 0.1)
    assert len(calls) <= 10
