"""How the systems behind the gateway are: all asked at once, each for two seconds at the most."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from gateway.errors import GatewayError
from gateway.records.health import HealthRecord

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_S = 2.0
"""The status page waits for the slowest."""

Check = Callable[[], Awaitable[None]]


class HealthService:
    """Asks each upstream whether it works."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def check_all(self) -> list[HealthRecord]:
        """One record for each upstream, in the order they were given."""
        return list(await asyncio.gather(*(_ask(name, check) for name, check in self._checks.items())))


async def _ask(name: str, check: Check) -> HealthRecord:
    started = time.perf_counter()
    detail: str | None = None
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        detail = f"no answer within {CHECK_TIMEOUT_S:g} s"
    except GatewayError as error:
        detail = error.message
    except Exception:
        logger.exception("the check of %s broke", name)
        detail = "the check itself failed; the gateway's log says why"
    latency_ms = (time.perf_counter() - started) * 1000
    return HealthRecord(name=name, healthy=detail is None, latency_ms=round(latency_ms, 1), detail=detail)
