"""CPU and latency of the three pages, all contestants side by side: `python -m benchmarks pages`."""

import asyncio
import json
import statistics
import time
from typing import Any

import httpx

from benchmarks.pages.contestants import Contestant, running_contestants, running_stubs
from benchmarks.pages.documents import PAGES

WARM_UP, ROUNDS, PAGES_A_ROUND, CONCURRENCY = 24, 9, 12, 4
LATENCIES_MS = {"dynamodb": 8, "loki": 60, "prometheus": 40}
SLOWEST_MS = {"landing": 16, "dashboard": 8, "function": 60}
"""Of a page's upstreams; the landing page needs two rounds, since the figures' keys come from the list."""
RATE, PACED_PAGES = 20.0, 60
"""Pages a second, and how many of each page."""


def measure(*, before: bool = False) -> dict[str, Any]:
    """CPU ms a page, and p50 and p99 in ms with upstream latencies at a low rate, by page and contestant."""
    return asyncio.run(_measure(before=before))


async def _measure(*, before: bool) -> dict[str, Any]:
    with running_stubs() as upstreams, running_contestants(upstreams, before=before) as contestants:
        # uvicorn closes connections that were idle for 5 s.
        async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(keepalive_expiry=2)) as client:
            await _check(client, contestants)
            cpu = {page: await _cpu(client, contestants, page) for page in PAGES}
            await client.put(f"{upstreams['dynamodb']}/latency", json=LATENCIES_MS)
            latency = {
                page: {one.name: await _latency(client, one, page) for one in contestants} for page in PAGES
            }
    return {"cpu ms a page": cpu, "latency ms": latency}


async def _fetch(client: httpx.AsyncClient, contestant: Contestant, page: str) -> httpx.Response:
    query, variables = PAGES[page]
    response = await client.post(f"{contestant.url}/graphql", json={"query": query, "variables": variables})
    response.raise_for_status()
    return response


async def _check(client: httpx.AsyncClient, contestants: list[Contestant]) -> None:
    """See that all of them answer the same."""
    for page in PAGES:
        answers = {one.name: (await _fetch(client, one, page)).json() for one in contestants}
        for name, answer in answers.items():
            assert not answer.get("errors"), f"{name}, {page}: {answer['errors']}"
            expected = _rounded(answers["handwritten"]["data"])
            assert _rounded(answer["data"]) == expected, f"{name} answers the {page} page differently"


def _rounded(value: Any) -> Any:
    """The value with floats as far as sums in another order agree."""
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


async def _cpu(client: httpx.AsyncClient, contestants: list[Contestant], page: str) -> dict[str, float]:
    """Medians of interleaved rounds."""
    for one in contestants:
        await _load(client, one, page, WARM_UP)
    rounds: dict[str, list[float]] = {one.name: [] for one in contestants}
    for _ in range(ROUNDS):
        for one in contestants:
            before = one.cpu_ms()
            await _load(client, one, page, PAGES_A_ROUND)
            rounds[one.name].append((one.cpu_ms() - before) / PAGES_A_ROUND)
    return {name: round(statistics.median(found), 2) for name, found in rounds.items()}


async def _load(client: httpx.AsyncClient, contestant: Contestant, page: str, count: int) -> None:
    async def fetch_some() -> None:
        for _ in range(count // CONCURRENCY):
            await _fetch(client, contestant, page)

    await asyncio.gather(*(fetch_some() for _ in range(CONCURRENCY)))


async def _latency(client: httpx.AsyncClient, contestant: Contestant, page: str) -> dict[str, float]:
    """p50 and p99 at a fixed rate, whatever earlier answers take."""
    await _load(client, contestant, page, CONCURRENCY)

    async def timed(at: float) -> float:
        await asyncio.sleep(at - time.perf_counter())
        started = time.perf_counter()
        await _fetch(client, contestant, page)
        return (time.perf_counter() - started) * 1000

    start = time.perf_counter() + 0.05
    found = sorted(await asyncio.gather(*(timed(start + number / RATE) for number in range(PACED_PAGES))))
    return {"p50": round(found[len(found) // 2], 1), "p99": round(found[int(len(found) * 0.99) - 1], 1)}


def print_table(figures: dict[str, Any]) -> None:
    """Print a line for each contestant, and the gateway's ratios to the others."""
    cpu, latency = figures["cpu ms a page"], figures["latency ms"]
    print(f"{'CPU ms a page':<16}" + "".join(f"{page:>14}" for page in cpu))
    for name in cpu["landing"]:
        ratios = [
            f"{cpu[page][name]:7.2f}"
            + (f" ({cpu[page]['gateway'] / cpu[page][name]:4.2f})" if name != "gateway" else "       ")
            for page in cpu
        ]
        print(f"{name:<16}" + "".join(f"{text:>14}" for text in ratios))
    print("(in brackets: the gateway's as a multiple of it)\n")
    upstream = ", ".join(f"{page} {limit} ms" for page, limit in SLOWEST_MS.items())
    print(f"p50 / p99 in ms at {RATE:g} pages a second; waiting for the upstreams alone takes {upstream}")
    for name in cpu["landing"]:
        pairs = [f"{latency[page][name]['p50']:.1f} / {latency[page][name]['p99']:.1f}" for page in latency]
        print(f"{name:<16}" + "".join(f"{text:>14}" for text in pairs))


if __name__ == "__main__":
    measured = measure()
    print_table(measured)
    print(json.dumps(measured))
