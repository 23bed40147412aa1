"""What a subscription costs the gateway, and how soon it sees a change: `python -m benchmarks subscriptions`.

Memory is the difference of the process's resident memory, CPU its own by the scheduler's account. That of
deliveries is measured around them (clocked.py), as the process does much else meanwhile. A change's age is counted
from the moment DynamoDB has answered its write.
"""

import asyncio
import resource
from collections import defaultdict
from itertools import pairwise
from statistics import mean
from typing import Any

from benchmarks.processes import cpu_ms, resident_kb
from benchmarks.subscriptions.clocked import spent_ms
from benchmarks.subscriptions.stage import ClientProcess, Gateway, ask, running, start, subscribed
from benchmarks.subscriptions.storing import StoredTimes
from tests.builds.replicas.builder import PacedBuilder

SUBSCRIBERS, BUILDS = 10_000, 100
WARM_UP, SETTLE_S = 20, 3.0
INTERVAL_S = 5.0
"""Between two polls of a build, as it is by default."""
WINDOW_S = 8.0
"""What a change is given: within it each build is polled, and its change has reached everybody."""
PHASES = {"building": 2, "pushing": 3, "done": 4}
"""What the builder says in turn, and the sequence number that the change gets."""
CREATE = 'mutation { createWorkspace(input: {name: "Watched"}) { workspace { id } } }'


def measure(subscribers: int = SUBSCRIBERS) -> dict[str, Any]:
    """Run it once; figures by their names."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the processes inherit it
    return asyncio.run(_measure(subscribers))


async def _measure(subscribers: int) -> dict[str, Any]:
    async with running(INTERVAL_S) as (gateway, builder, times):
        workspace_id = (await ask(gateway, CREATE))["createWorkspace"]["workspace"]["id"]
        builder.default = "pending"
        builds = [await start(gateway, workspace_id, f"watched-{number}") for number in range(BUILDS)]
        async with subscribed(gateway, builds, WARM_UP):
            await asyncio.sleep(SETTLE_S)
        memory, cpu = resident_kb(gateway.pid), cpu_ms(gateway.pid)
        async with subscribed(gateway, builds, subscribers) as clients:
            subscribing = cpu_ms(gateway.pid) - cpu
            await asyncio.sleep(SETTLE_S)
            held = resident_kb(gateway.pid) - memory
            idle = await _cpu_in_window(gateway)
            delivering = [await _deliver(gateway, builder, phase) / subscribers for phase in PHASES]
            grown = resident_kb(gateway.pid) - memory
            arrived = [await _arrivals(clients, sequence, subscribers) for sequence in PHASES.values()]
    figures = {
        "subscribers": subscribers,
        "builds": BUILDS,
        "memory KB a subscriber": held / subscribers,
        "memory KB a subscriber, after all": grown / subscribers,
        "CPU ms a subscription, to begin": subscribing / subscribers,
        "CPU ms/s idle": idle / WINDOW_S,
        "CPU us a delivery": mean(delivering[:-1]) * 1000,
        "CPU us the last one, and the end": delivering[-1] * 1000,
    }
    return figures | _ages(arrived, times) | _polls(builder)


async def _cpu_in_window(gateway: Gateway) -> float:
    """CPU ms of the process while nothing changes."""
    before = cpu_ms(gateway.pid)
    await asyncio.sleep(WINDOW_S)
    return cpu_ms(gateway.pid) - before


async def _deliver(gateway: Gateway, builder: PacedBuilder, phase: str) -> float:
    """Let all builds come to a phase: CPU ms of the deliveries, and of ending the subscriptions after the last."""
    before = spent_ms(gateway.clock)
    builder.default = phase
    await asyncio.sleep(WINDOW_S)
    return spent_ms(gateway.clock) - before


async def _arrivals(clients: list[ClientProcess], sequence: int, subscribers: int) -> list[tuple[str, float]]:
    """The build and the time of each event with a number; everybody has had it, once."""
    answers = [await client.ask({"sequence": sequence}) for client in clients]
    errors = [error for answer in answers for error in answer["errors"]]
    assert not errors, errors
    arrivals = [arrival for answer in answers for arrival in answer["arrivals"]]
    assert len(arrivals) == subscribers, f"{len(arrivals)} events {sequence}"
    assert sequence < max(PHASES.values()) or sum(answer["completed"] for answer in answers) == subscribers
    return arrivals


def _ages(arrived: list[list[tuple[str, float]]], times: StoredTimes) -> dict[str, Any]:
    """How old changes were when they arrived; `spread` is from the first subscriber that got one to each."""
    ages, spread = [], []
    for arrivals in arrived:
        first: dict[str, float] = defaultdict(lambda: float("inf"))
        for build, at in arrivals:
            first[build] = min(first[build], at)
        ages += [(at - times.last_before(build, at)) * 1000 for build, at in arrivals]
        spread += [(at - first[build]) * 1000 for build, at in arrivals]
    return {
        "deliveries": len(ages),
        "age ms p50": _percentile(ages, 0.5),
        "age ms p99": _percentile(ages, 0.99),
        "age ms max": max(ages),
        "spread ms p50": _percentile(spread, 0.5),
        "spread ms p99": _percentile(spread, 0.99),
    }


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def _polls(builder: PacedBuilder) -> dict[str, Any]:
    """How often the builder was asked for each build; the shortest pause is the interval less its jitter."""
    pauses = [later - sooner for times in builder.polls.values() for sooner, later in pairwise(times)]
    spans = [times[-1] - times[0] for times in builder.polls.values()]
    return {
        "polls a build and interval": len(pauses) * INTERVAL_S / sum(spans),
        "shortest pause between polls, s": min(pauses),
    }


def print_table(figures: dict[str, Any]) -> None:
    """A line for each figure."""
    for name, value in figures.items():
        print(f"{name:<40}{value:>12.2f}" if isinstance(value, float) else f"{name:<40}{value!s:>12}")
