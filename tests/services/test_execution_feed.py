"""Invocations as they are recorded."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any, cast

import pytest

from gateway.errors import OperationTimeoutError
from gateway.records.execution_logs import ExecutionLogRecord
from gateway.records.pages import Page
from gateway.services.execution_feed import MAX_WAITING, ExecutionFeed, ExecutionWatcher
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.execution_logs import ExecutionLogTable
from gateway.upstream.dynamo.expressions import Put
from gateway.upstream.dynamo.keys import stamp
from tests.stores import StoppedClock
from tests.upstream.dynamo.test_execution_logs import log


async def taken(watcher: ExecutionWatcher) -> list[str]:
    """The ids of what a watcher has waiting."""
    ids: list[str] = []
    while True:
        try:
            async with asyncio.timeout(0.05):
                ids.append((await anext(watcher)).id)
        except TimeoutError:
            return ids


async def put_many(dynamo: Dynamo, clock: StoppedClock, count: int) -> None:
    """Store invocations of the last minutes, ten a second, faster than one by one."""
    rows: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        at, id_ = stamp(clock() - timedelta(seconds=number / 10)), f"log{number}"
        key = {"PK": "FN#fn-00000001", "SK": f"LOG#{at}#{id_}"}
        listed = {"GSI1PK": "WS#ws-00000001#LOGS", "GSI1SK": f"{at}#{id_}"}
        rows.append({**key, **listed, "id": id_, "timestamp": at, "status": "success", "statusCode": 200})
    for start in range(0, count, 100):
        await dynamo.table.transact([Put(item=row) for row in rows[start : start + 100]])


async def test_each_invocation_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """What is recorded after the watch began comes once and in order, also what comes late into the index."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    await dynamo.execution_logs.put(log(clock, -1, id="before"))
    with (
        feed.watch("ws-00000001", bodies=False) as watcher,
        feed.watch("ws-00000001", "fn-00000002", bodies=False) as of_one,
    ):
        await dynamo.execution_logs.put(log(clock, 1, id="first"))
        await feed.tick()
        assert await taken(watcher) == ["first"]
        clock.advance(seconds=5)
        await dynamo.execution_logs.put(log(clock, 1, id="third", function_id="fn-00000002"))
        await dynamo.execution_logs.put(log(clock, -4.5, id="second, late"))
        await feed.tick()
        await feed.tick()
        assert await taken(watcher) == ["second, late", "third"]
        assert await taken(of_one) == ["third"]
        clock.advance(minutes=1)
        await feed.tick()
        assert await taken(watcher) == []


async def test_nothing_is_read_when_nobody_watches(dynamo: Dynamo, clock: StoppedClock) -> None:
    """The cost is one Query for a workspace, whoever many watch it, and none when they have left."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    with (
        feed.watch("ws-00000001", bodies=True),
        feed.watch("ws-00000001", bodies=False),
        recording_calls() as calls,
    ):
        await feed.tick()
    assert [call.operation for call in calls] == ["Query"]
    with recording_calls() as calls:
        await feed.tick()
    assert calls == []


async def test_more_than_a_page_at_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A burst larger than one megabyte of bodies arrives whole."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    with feed.watch("ws-00000001", bodies=True) as watcher:
        body = '"' + "x" * 200_000 + '"'
        for number in range(8):
            await dynamo.execution_logs.put(log(clock, number / 10, id=f"log{number}", response_body=body))
        await feed.tick()
        assert await taken(watcher) == [f"log{number}" for number in range(8)]


@pytest.mark.parametrize("late_s", [12, 20])
async def test_log_that_is_stored_late(dynamo: Dynamo, clock: StoppedClock, late_s: int) -> None:
    """A recording may take 20 s: what is stored so late comes once, whenever it was, and nothing from before."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    await dynamo.execution_logs.put(log(clock, -25, id="before"))
    with feed.watch("ws-00000001", bodies=False) as watcher:
        expected: list[str] = []
        for second in range(60):
            await feed.tick()
            clock.advance(seconds=1)
            if second >= late_s:
                expected.append(f"of {second}")
                await dynamo.execution_logs.put(log(clock, -late_s, id=expected[-1]))
        for _ in range(11):
            await feed.tick()
            clock.advance(seconds=1)
        assert sorted(await taken(watcher)) == sorted(expected)


async def test_a_look_every_second_reads_ten(dynamo: Dynamo, clock: StoppedClock) -> None:
    """What a long look reads is read again by it alone: it is one Query like the others."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    with feed.watch("ws-00000001", bodies=False), recording_calls() as calls:
        for _ in range(20):
            await feed.tick()
            clock.advance(seconds=1)
    assert [call.operation for call in calls] == ["Query"] * 20


async def test_bodies_are_read_for_who_wants_them(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Nobody's selection has a body: none is read. One has: they come, also where it came during a look."""
    entering = contextlib.ExitStack()

    class Table:
        """The table; while it is read, somebody comes who wants bodies."""

        async def list_of_workspace(self, workspace_id: str, **wanted: Any) -> Page[ExecutionLogRecord]:
            page = await dynamo.execution_logs.list_of_workspace(workspace_id, **wanted)
            if clock() == comes_at:
                others.append(entering.enter_context(feed.watch("ws-00000001", bodies=True)))
            return page

    others: list[ExecutionWatcher] = []
    comes_at = clock() + timedelta(seconds=5)
    feed = ExecutionFeed(cast("ExecutionLogTable", Table()), clock)
    with entering, feed.watch("ws-00000001", bodies=False) as watcher:
        await dynamo.execution_logs.put(log(clock, 0, id="without"))
        await feed.tick()
        assert (await anext(watcher)).response_body is None
        clock.advance(seconds=5)
        await dynamo.execution_logs.put(log(clock, 0, id="with"))
        await feed.tick()
        clock.advance(seconds=1)
        await feed.tick()
        for each in (watcher, *others):
            found = await anext(each)
            assert (found.id, found.response_body) == ("with", "[1e200, -0.0]")


async def test_watcher_that_falls_behind(clock: StoppedClock) -> None:
    """A watcher that takes nothing is ended with an error that says so, after what it still had."""
    watcher = ExecutionWatcher(None, bodies=False)
    for number in range(MAX_WAITING + 1):
        watcher.offer(log(clock, 0, id=str(number)))
    for number in range(MAX_WAITING):
        assert (await anext(watcher)).id == str(number)
        watcher.offer(log(clock, 0, id="from behind the gap"))
    with pytest.raises(OperationTimeoutError, match="1000 invocations behind"):
        await anext(watcher)


async def test_bodies_that_wait_are_bounded(clock: StoppedClock) -> None:
    """Large bodies are waited for as long as the memory holds them: 32 MB."""
    watcher = ExecutionWatcher(None, bodies=True)
    for _ in range(2):  # what was taken makes room
        for number in range(32):
            watcher.offer(log(clock, 0, id=str(number), request_body=None, response_body="x" * 2**20))
        assert await taken(watcher) == [str(number) for number in range(32)]
    for number in range(33):
        watcher.offer(log(clock, 0, id=str(number), request_body=None, response_body="x" * 2**20))
    for _ in range(32):
        await anext(watcher)
    with pytest.raises(OperationTimeoutError, match="or 32 MB of bodies"):
        await anext(watcher)


async def test_more_than_a_watcher_takes_after_an_outage(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Too many at once are not read to the end: the watchers are told, and who comes then gets what is new."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    with (
        feed.watch("ws-00000001", bodies=False) as watcher,
        feed.watch("ws-00000001", "fn-x", bodies=False) as other,
    ):
        await feed.tick()
        clock.advance(minutes=5)
        await put_many(dynamo, clock, 2 * MAX_WAITING + 100)
        with recording_calls() as calls:
            await feed.tick()
        assert [call.operation for call in calls] == ["Query", "Query"]  # of three
        for each in (watcher, other):
            with pytest.raises(OperationTimeoutError):
                await anext(each)
        with feed.watch("ws-00000001", bodies=False) as newcomer:
            for _ in range(12):
                await feed.tick()
                clock.advance(seconds=1)
            await dynamo.execution_logs.put(log(clock, 0, id="new"))
            await feed.tick()
            assert await taken(newcomer) == ["new"]


async def test_run_looks_when_somebody_comes(dynamo: Dynamo, clock: StoppedClock) -> None:
    """The loop sleeps until there is a watcher, and then looks again and again."""
    feed = ExecutionFeed(dynamo.execution_logs, clock, interval_s=0.05)
    running = asyncio.create_task(feed.run())
    try:
        with feed.watch("ws-00000001", bodies=False) as watcher:
            await asyncio.sleep(0.1)
            clock.now += timedelta(seconds=1)
            await dynamo.execution_logs.put(log(clock, 0, id="new"))
            async with asyncio.timeout(5):
                assert (await anext(watcher)).id == "new"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_look_that_breaks_unexpectedly(dynamo: Dynamo, clock: StoppedClock) -> None:
    """The next one finds what it would have found: who watches need not come again."""

    class BrokenOnce:
        """A table whose first answer makes no sense."""

        broken = False

        async def list_of_workspace(self, *arguments: Any, **options: Any) -> Page[ExecutionLogRecord]:
            """Break, then answer."""
            if not self.broken:
                self.broken = True
                raise KeyError("Items")
            return await dynamo.execution_logs.list_of_workspace(*arguments, **options)

    feed = ExecutionFeed(cast("ExecutionLogTable", BrokenOnce()), clock)
    with feed.watch("ws-00000001", bodies=False) as watcher:
        await dynamo.execution_logs.put(log(clock, 1, id="first"))
        await feed.tick()
        assert await taken(watcher) == []
        await feed.tick()
        assert await taken(watcher) == ["first"]
