"""Rolling figures in the table."""

import asyncio
from datetime import timedelta

from gateway.records.clock import hour_of
from gateway.records.functions import Figures
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.keys import function_figures_key, workspace_figures_key
from tests.stores import StoppedClock
from tests.upstream.dynamo.test_functions import function, make_workspace

KEYS = [function_figures_key("ws-00000001", "fn-00000001"), workspace_figures_key("ws-00000001")]


async def make_function(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A stored function."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")


async def read(dynamo: Dynamo) -> list[Figures]:
    """The figures of the function and of its workspace."""
    rows = await dynamo.rows.get_rows(KEYS)
    return [row for key in KEYS if isinstance(row := rows[key], Figures)]


async def test_count_when_many_end_at_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Forty concurrent invocations are forty, for the function and for its workspace."""
    await make_function(dynamo, clock)
    await asyncio.gather(
        *(
            dynamo.figures.count(
                "ws-00000001", "fn-00000001", at=clock(), is_error=number % 4 == 0, duration_ms=2.5
            )
            for number in range(40)
        )
    )
    for figures in await read(dynamo):
        assert (figures.invocations, figures.errors, figures.error_rate) == (40, 10, 25.0)
        assert figures.avg_duration_ms == 2.5


async def test_window_when_hours_pass(dynamo: Dynamo, clock: StoppedClock) -> None:
    """An invocation counts in its hour and the 23 after it, and is removed from the row later."""
    await make_function(dynamo, clock)
    counted = clock()
    await dynamo.figures.count("ws-00000001", "fn-00000001", at=counted, is_error=False, duration_ms=1)
    clock.now = counted.replace(minute=0) + timedelta(hours=23, minutes=59)
    (figures, _) = await read(dynamo)
    assert (figures.invocations, figures.hours[0].hour) == (1, hour_of(counted))
    clock.advance(minutes=1)
    (figures, _) = await read(dynamo)
    assert figures.invocations == 0
    clock.advance(hours=2)
    await dynamo.figures.count("ws-00000001", "fn-00000001", at=clock(), is_error=False, duration_ms=1)
    item = await dynamo.table.get(KEYS[0])
    assert item is not None
    assert sorted(set(item) - {"PK", "SK"}) == sorted(f"{kind}{hour_of(clock())}" for kind in "ied")


async def test_count_when_the_function_was_deleted(dynamo: Dynamo, clock: StoppedClock) -> None:
    """An invocation that ends after its function was deleted does not bring its row back."""
    await make_function(dynamo, clock)
    await dynamo.functions.delete("ws-00000001", "fn-00000001")
    await dynamo.figures.count("ws-00000001", "fn-00000001", at=clock(), is_error=False, duration_ms=1)
    assert await dynamo.table.get(KEYS[0]) is None


async def test_read_when_only_workspaces_are_asked_for(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Their durations, a third of a landing page's data, are not fetched: a workspace shows none."""
    await make_function(dynamo, clock)
    await dynamo.figures.count("ws-00000001", "fn-00000001", at=clock(), is_error=True, duration_ms=2.5)
    figures = (await dynamo.rows.get_rows(KEYS[1:]))[KEYS[1]]
    assert isinstance(figures, Figures)
    assert (figures.invocations, figures.errors, sum(figures.duration_ms_by_hour)) == (1, 1, 0)
