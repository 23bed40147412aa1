"""Invocations as they are recorded."""

import asyncio
from datetime import timedelta

import pytest

from gateway.errors import OperationTimeoutError
from gateway.services.execution_feed import MAX_WAITING, ExecutionFeed, ExecutionWatcher
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
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


async def test_each_invocation_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """What is recorded after the watch began comes once and in order, also what comes late into the index."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    await dynamo.execution_logs.put(log(clock, -1, id="before"))
    with feed.watch("ws-00000001") as watcher, feed.watch("ws-00000001", "fn-00000002") as of_one:
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
    with feed.watch("ws-00000001"), feed.watch("ws-00000001"), recording_calls() as calls:
        await feed.tick()
    assert [call.operation for call in calls] == ["Query"]
    with recording_calls() as calls:
        await feed.tick()
    assert calls == []


async def test_more_than_a_page_at_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A burst larger than one megabyte of bodies arrives whole."""
    feed = ExecutionFeed(dynamo.execution_logs, clock)
    with feed.watch("ws-00000001") as watcher:
        body = '"' + "x" * 200_000 + '"'
        for number in range(8):
            await dynamo.execution_logs.put(log(clock, number / 10, id=f"log{number}", response_body=body))
        await feed.tick()
        assert await taken(watcher) == [f"log{number}" for number in range(8)]


async def test_watcher_that_falls_behind(clock: StoppedClock) -> None:
    """A watcher that takes nothing is ended with an error that says so, after what it still had."""
    watcher = ExecutionWatcher(None, clock())
    for number in range(MAX_WAITING + 1):
        watcher.offer(log(clock, 0, id=str(number)))
    for number in range(MAX_WAITING):
        assert (await anext(watcher)).id == str(number)
    with pytest.raises(OperationTimeoutError, match="1000 invocations behind"):
        await anext(watcher)


async def test_run_looks_when_somebody_comes(dynamo: Dynamo, clock: StoppedClock) -> None:
    """The loop sleeps until there is a watcher, and then looks again and again."""
    feed = ExecutionFeed(dynamo.execution_logs, clock, interval_s=0.05)
    running = asyncio.create_task(feed.run())
    try:
        with feed.watch("ws-00000001") as watcher:
            await asyncio.sleep(0.1)
            clock.now += timedelta(seconds=1)
            await dynamo.execution_logs.put(log(clock, 0, id="new"))
            async with asyncio.timeout(5):
                assert (await anext(watcher)).id == "new"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
