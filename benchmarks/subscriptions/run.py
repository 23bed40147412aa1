"""What a subscription costs the gateway, and how soon it sees a change: `python -m benchmarks subscriptions`.

Memory is the difference of the process's resident memory, CPU its own by the scheduler's account, less what it
takes while nothing changes. What a change takes by itself is measured on builds that nobody watches, and is taken
off for deliveries. A change's age is counted from the moment DynamoDB has answered its write.
"""

import asyncio
import resource
import time
from collections import defaultdict
from itertools import pairwise
from typing import Any

from benchmarks.processes import cpu_ms, resident_kb, system_ms
from benchmarks.subscriptions.stage import ClientProcess, Gateway, ask, running, start, subscribed
from benchmarks.subscriptions.storing import StoredTimes
from tests.builds.replicas.builder import PacedBuilder

SUBSCRIBERS, BUILDS = 10_000, 100
WARM_UP, LOOK_S, SETTLE_S, IDLE_S = 20, 0.5, 3.0, 12.0
INTERVAL_S = 5.0
"""Between two polls of a build, as it is by default."""
PHASES = {"building": 2, "pushing": 3, "done": 4}
"""What the builder says in turn, and the sequence number that the change gets."""
PHASE_S = 60.0
"""At most, until a change has reached all."""
CREATE = 'mutation { createWorkspace(input: {name: "Watched"}) { workspace { id } } }'


def measure(subscribers: int = SUBSCRIBERS) -> dict[str, Any]:
    """Run it once; figures by their names."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the processes inherit it
    return asyncio.run(_measure(subscribers))


async def _measure(subscribers: int) -> dict[str, Any]:
    async with running(INTERVAL_S) as (gateway, builder, times):
        workspace_id = (await ask(gateway, CREATE))["createWorkspace"]["workspace"]["id"]
        change = await _unwatched(gateway, builder, workspace_id)
        builder.default = "pending"
        builds = [await start(gateway, workspace_id, number) for number in range(BUILDS)]
        async with subscribed(gateway, builds, WARM_UP):
            await asyncio.sleep(SETTLE_S)
        memory, cpu = resident_kb(gateway.pid), cpu_ms(gateway.pid)
        async with subscribed(gateway, builds, subscribers) as clients:
            subscribing = cpu_ms(gateway.pid) - cpu
            await asyncio.sleep(SETTLE_S)
            held = resident_kb(gateway.pid) - memory
            idle = await _idle(gateway)
            phases = {phase: await _phase(gateway, builder, clients, phase, subscribers) for phase in PHASES}
            grown = resident_kb(gateway.pid) - memory
    figures = {
        "subscribers": subscribers,
        "builds": BUILDS,
        "memory KB a subscriber": held / subscribers,
        "memory KB a subscriber, after all": grown / subscribers,
        "CPU ms a subscription, to begin": subscribing / subscribers,
        "CPU ms/s idle": idle,
        "CPU ms a change, unwatched": change,
    }
    return figures | _deliveries(phases, times, idle, change) | _polls(builder)


async def _idle(gateway: Gateway) -> float:
    """CPU ms a second while nothing changes."""
    before = cpu_ms(gateway.pid)
    await asyncio.sleep(IDLE_S)
    return (cpu_ms(gateway.pid) - before) / IDLE_S


async def _unwatched(gateway: Gateway, builder: PacedBuilder, workspace_id: str) -> float:
    """CPU ms of a change that nobody watches."""
    builder.default = "pending"
    for number in range(BUILDS):
        await start(gateway, workspace_id, number)
    await asyncio.sleep(SETTLE_S)
    idle = await _idle(gateway)
    began, before = time.monotonic(), cpu_ms(gateway.pid)
    for phase in PHASES:
        builder.default = phase
        await asyncio.sleep(1.2 * INTERVAL_S)
    changes_ms = cpu_ms(gateway.pid) - before - idle * (time.monotonic() - began)
    return changes_ms / (BUILDS * len(PHASES))


async def _phase(
    gateway: Gateway, builder: PacedBuilder, clients: list[ClientProcess], phase: str, subscribers: int
) -> dict[str, Any]:
    """Let all builds go one step on; until everybody has seen it."""
    began, cpu, system = time.monotonic(), cpu_ms(gateway.pid), system_ms(gateway.pid)
    builder.default = phase
    sequence = PHASES[phase]
    async with asyncio.timeout(PHASE_S):
        question = {"sequence": sequence, "all": False}
        while True:
            await asyncio.sleep(LOOK_S)
            if sum([(await client.ask(question))["count"] for client in clients]) >= subscribers:
                break
    await asyncio.sleep(SETTLE_S)
    took_s, cpu = time.monotonic() - began, cpu_ms(gateway.pid) - cpu
    system = system_ms(gateway.pid) - system
    answers = [await client.ask({"sequence": sequence, "all": True}) for client in clients]
    errors = [error for answer in answers for error in answer["errors"]]
    assert not errors, errors
    return {
        "arrivals": [arrival for answer in answers for arrival in answer["arrivals"]],
        "completed": sum(answer["completed"] for answer in answers),
        "took_s": took_s,
        "cpu_ms": cpu,
        "system_ms": system,
    }


def _deliveries(
    phases: dict[str, dict[str, Any]], times: StoredTimes, idle: float, change: float
) -> dict[str, Any]:
    """CPU and age of what was delivered; `spread` is from the first subscriber that got a change to each."""
    ages, spread = [], []
    for phase in phases.values():
        first: dict[str, float] = defaultdict(lambda: float("inf"))
        for build, arrived in phase["arrivals"]:
            first[build] = min(first[build], arrived)
        ages += [(arrived - times.last_before(build, arrived)) * 1000 for build, arrived in phase["arrivals"]]
        spread += [(arrived - first[build]) * 1000 for build, arrived in phase["arrivals"]]
    # What ends the subscriptions with the last change is one more frame each.
    changes_ms = sum(phase["cpu_ms"] - idle * phase["took_s"] for phase in phases.values())
    return {
        "deliveries": len(ages),
        "completed": max(phase["completed"] for phase in phases.values()),
        "CPU us a delivery": (changes_ms - change * BUILDS * len(phases)) * 1000 / len(ages),
        "CPU us a delivery, with the change": changes_ms * 1000 / len(ages),
        "kernel us a delivery, polls included": sum(phase["system_ms"] for phase in phases.values())
        * 1000
        / len(ages),
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
