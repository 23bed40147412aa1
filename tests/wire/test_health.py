"""The probes."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
from starlette.applications import Starlette

from gateway.errors import DynamoDBError
from gateway.web import health
from gateway.web.health import health_routes


async def ok() -> None:
    """A table that answers."""


async def broken() -> None:
    """A table that does not exist."""
    raise DynamoDBError("DynamoDB DescribeTable of T: it does not exist.")


async def ask(path: str, check: Callable[[], Awaitable[object]] = ok, age_s: float = 1) -> tuple[int, object]:
    """Status and body of a probe."""
    app = Starlette(routes=health_routes(check, lambda: age_s, max_poller_age_s=30))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        response = await client.get(path)
        return response.status_code, response.json()


async def test_process_is_live_whatever_the_upstreams_say() -> None:
    """Liveness and the former backend's probe ask nothing."""
    assert await ask("/livez", broken, 99) == (200, {"status": "ok"})
    assert await ask("/health", broken, 99) == (200, {"status": "healthy"})


async def test_ready_when_table_and_poller_are() -> None:
    """Both checks are named."""
    assert await ask("/readyz") == (200, {"status": "ok", "checks": {"dynamodb": "ok", "poller": "ok"}})


async def test_not_ready_says_which_check_failed() -> None:
    """503 with the reason of each."""
    checks = {"dynamodb": "DynamoDB DescribeTable of T: it does not exist.", "poller": "ok"}
    assert await ask("/readyz", broken) == (503, {"status": "unavailable", "checks": checks})
    checks = {"dynamodb": "ok", "poller": "the last round ended 31 s ago"}
    assert await ask("/readyz", age_s=31) == (503, {"status": "unavailable", "checks": checks})


async def test_table_is_asked_once_a_second() -> None:
    """However many ask: those who ask meanwhile share the check, and its answer is kept, a bad one too."""
    asked, now = 0, 100.0
    go_on = asyncio.Event()

    async def fails_at_first() -> None:
        nonlocal asked
        asked += 1
        await go_on.wait()
        if asked == 1:
            raise DynamoDBError("It is CREATING.")

    app = Starlette(routes=health_routes(fails_at_first, lambda: 1, max_poller_age_s=30, monotonic=lambda: now))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:

        async def status() -> int:
            return (await client.get("/readyz")).status_code

        together = [asyncio.create_task(status()) for _ in range(10)]
        await asyncio.sleep(0.05)
        go_on.set()
        assert await asyncio.gather(*together) == [503] * 10
        now += 0.9
        assert (await status(), asked) == (503, 1)
        now += 0.1
        assert (await status(), asked) == (200, 2)


async def test_not_ready_when_the_table_does_not_answer() -> None:
    """The probe answers before kubelet gives up."""

    async def hangs() -> None:
        await asyncio.sleep(60)

    status, body = await ask("/readyz", hangs)
    assert status == 503
    assert body == {
        "status": "unavailable",
        "checks": {"dynamodb": f"no answer within {health.CHECK_TIMEOUT_S:g} s", "poller": "ok"},
    }
