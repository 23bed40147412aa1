"""Probes: /livez says that the process answers, /readyz that it can work, /health what the former backend said."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CHECK_TIMEOUT_S = 2.0
"""For DynamoDB to answer; kubelet's probes give up after a few seconds, and have to hear which check failed."""
KEPT_S = 1.0
"""How long DynamoDB's answer is good for: probes come every few seconds, but anybody may ask, and at any rate."""


def health_routes(
    check_dynamodb: Callable[[], Awaitable[object]],
    poller_age_s: Callable[[], float],
    *,
    max_poller_age_s: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[Route]:
    """Make the three routes.

    `check_dynamodb` raises when the table can't be read. `poller_age_s` is the seconds since the poller's last
    round ended, or since it was started; beyond `max_poller_age_s` it is taken for dead. A poller that died does
    not stop the process, so readiness has to tell. `monotonic` is handed in by tests.
    """
    dynamodb = _DynamoDBState(check_dynamodb, monotonic)

    async def livez(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "healthy"})

    async def readyz(_request: Request) -> Response:
        checks = {"dynamodb": await dynamodb.get(), "poller": "ok"}
        age_s = poller_age_s()
        if age_s > max_poller_age_s:
            checks["poller"] = f"the last round ended {age_s:.0f} s ago"
        is_ready = all(state == "ok" for state in checks.values())
        status = "ok" if is_ready else "unavailable"
        return JSONResponse({"status": status, "checks": checks}, 200 if is_ready else 503)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/health", health)]


class _DynamoDBState:
    """What DynamoDB answered last, asked anew after KEPT_S; those who ask meanwhile share one check."""

    def __init__(self, check: Callable[[], Awaitable[object]], monotonic: Callable[[], float]) -> None:
        self._check = check
        self._monotonic = monotonic
        self._checking = asyncio.Lock()
        self._state = ""
        self._good_until = -math.inf

    async def get(self) -> str:
        """`ok`, or what is wrong."""
        async with self._checking:
            if self._monotonic() >= self._good_until:
                self._state = await _dynamodb_state(self._check)
                self._good_until = self._monotonic() + KEPT_S
            return self._state


async def _dynamodb_state(check: Callable[[], Awaitable[object]]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # whatever it is, the table can't be read, and the probe says why
        return str(error) or type(error).__name__
    return "ok"
