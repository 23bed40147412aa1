"""A gateway for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway import Gateway, running_gateway
from tests.stores import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    """A clock that the test moves."""
    return StoppedClock()


@pytest.fixture
async def gateway(aws_server: str, clock: StoppedClock) -> AsyncIterator[Gateway]:
    """A gateway on an empty table; Loki, Prometheus, the builder and Kubernetes do not answer."""
    async with running_gateway(aws_server, clock=clock) as running:
        yield running
