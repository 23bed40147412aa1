"""`blue-gateway local`: how soon it is ready, and how long a build takes and an invocation beside the function."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from gateway.settings import Settings
from tests.aws import running_aws
from tests.local.test_platform import Platform
from tests.local.walk import GREETER, Walker
from tests.migration.former import log_row, write_rows

ROWS = 20_000
CALLS, WARM_UP, PAUSE_S = 100, 10, 0.03
"""One call after the other, as a person calls; in the pause the last one has been counted."""
INVOKE = """mutation ($id: ID!) {
  invokeFunction(input: { functionId: $id, method: GET }) { executionLog { statusCode duration } }
}"""
DURATIONS = "query ($id: ID!) { function(id: $id) { executionLogs(first: 100) { nodes { duration } } } }"


def measure() -> dict[str, float]:
    """Run it once with WebAssembly; times of invocations are medians, less the function's own time in the log."""
    with TemporaryDirectory() as folder:
        data = Path(folder, "data")
        with _running(data) as (url, empty_s):
            walked = asyncio.run(_walk(url))
        with running_aws(data / "aws") as aws:
            rows = (log_row("fn-00000001", number) for number in range(ROWS))
            write_rows(aws.client("dynamodb"), Settings().dynamodb_table_name, rows)
        with _running(data) as (_, full_s):
            pass
    return {"ready, s": empty_s, f"ready with {ROWS:,} rows, s": full_s} | walked


@contextmanager
def _running(data: Path) -> Iterator[tuple[str, float]]:
    """The platform's URL, and how long it took to be ready."""
    started = time.perf_counter()
    platform = Platform(data, "--port", "0")
    try:
        yield platform.await_url(), time.perf_counter() - started
    finally:
        platform.close()


async def _walk(url: str) -> dict[str, float]:
    walker = Walker(url)
    id_ = await walker.create_function(GREETER)
    started = time.perf_counter()
    assert (await walker.deploy(id_))[-1]["status"] == "DONE"
    built_s = time.perf_counter() - started
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

        async def mutate() -> float:
            answer = await client.post("/graphql", json={"query": INVOKE, "variables": {"id": id_}})
            log = answer.json()["data"]["invokeFunction"]["executionLog"]
            assert log["statusCode"] == 200
            return float(log["duration"])

        async def pass_on() -> float:
            answer = await client.get(f"/invoke/{id_}/")
            assert answer.status_code == 200
            return 0.0  # its log is read afterwards

        mutated = await _added_ms(mutate)
        passed = await _added_ms(pass_on)
    logs = (await walker.data(DURATIONS, id=id_))["function"]["executionLogs"]["nodes"]
    own = statistics.median(log["duration"] for log in logs)
    return {
        "build of a small function, s": built_s,
        "its own time, ms": own,
        "added by invokeFunction, ms": mutated,
        "added by /invoke, ms": passed - own,
    }


async def _added_ms(call: Callable[[], Awaitable[float]]) -> float:
    """The median of what calls took, each less what it says was the function's."""
    added = []
    for _ in range(WARM_UP + CALLS):
        started = time.perf_counter()
        own = await call()
        added.append((time.perf_counter() - started) * 1000 - own)
        await asyncio.sleep(PAUSE_S)
    return statistics.median(added[WARM_UP:])
