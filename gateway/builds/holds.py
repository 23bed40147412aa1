"""Calling the builder for a function while nobody else does; why that matters is dynamo/holds.py's."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from gateway.errors import BuilderConnectionError, BuilderError, ConflictError, DynamoDBError
from gateway.records.clock import Clock
from gateway.records.image_deploys import HoldTakenError
from gateway.upstream.dynamo.holds import HoldTable

PATIENCE_S = 10.0
"""For another's call, such as a search for an endpoint, which takes a second or two when all is well."""
TRY_INTERVAL_S = 0.25

logger = logging.getLogger(__name__)


def may_go_on(error: BuilderError) -> bool:
    """Whether the builder may be at it still: it was called, and said nothing for as long as it is waited for."""
    return isinstance(error, BuilderConnectionError) and isinstance(
        error.__cause__, (TimeoutError, httpx.ReadTimeout)
    )


async def patiently(function_id: str, take: Callable[[], Awaitable[None]]) -> None:
    """Take a function's hold as soon as it is free; ConflictError where another keeps it for long."""
    began = time.monotonic()
    while True:
        try:
            await take()
        except HoldTakenError as error:
            if time.monotonic() - began > PATIENCE_S:
                message = f"The Builder Service is busy deploying {function_id}; try again in a minute."
                raise ConflictError(message, retryable=True) from error
            await asyncio.sleep(TRY_INTERVAL_S)
        else:
            return


def new_holder(id_: str) -> str:
    """What this process holds a function as, for a build or an image's deploy."""
    return f"{id_}@{secrets.token_hex(4)}"


@asynccontextmanager
async def holding(holds: HoldTable, function_id: str, id_: str, clock: Clock) -> AsyncIterator[None]:
    """Hold a function for a build within the block.

    Where the block ends while the builder may be at it still, the hold is left to pass by itself.
    """
    holder, at_it = new_holder(id_), False

    async def take() -> None:
        if not await holds.take(function_id, holder, clock()):
            raise HoldTakenError

    await patiently(function_id, take)
    try:
        yield
    except BuilderError as error:
        at_it = may_go_on(error)
        raise
    except asyncio.CancelledError:
        at_it = True
        raise
    finally:
        if not at_it:
            await _release(holds, function_id, holder)


async def _release(holds: HoldTable, function_id: str, holder: str) -> None:
    try:
        await holds.release(function_id, holder)
    except DynamoDBError as error:  # what the builder has done counts all the same
        logger.warning("the hold of %s is left to pass by itself: %s", function_id, error)
