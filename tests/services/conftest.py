"""An open table for each test."""

from collections.abc import AsyncIterator

import pytest

from gateway.upstream.dynamo import Dynamo
from tests.stores import StoppedClock, opened_dynamo


@pytest.fixture
def clock() -> StoppedClock:
    """A clock that the test moves."""
    return StoppedClock()


@pytest.fixture
async def dynamo(aws_server: str, clock: StoppedClock) -> AsyncIterator[Dynamo]:
    """A fresh table."""
    async with opened_dynamo(aws_server, clock) as opened:
        yield opened
