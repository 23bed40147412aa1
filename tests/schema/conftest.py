"""A gateway for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.aws_proxy import AwsProxy, aws_proxy
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


@pytest.fixture
async def proxy(aws_server: str) -> AsyncIterator[AwsProxy]:
    """What stands between a gateway and its stores."""
    async with aws_proxy(aws_server) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: AwsProxy) -> AsyncIterator[Gateway]:
    """A gateway behind the proxy."""
    async with running_gateway(proxy.url, aws_endpoint_url_dynamodb=proxy.url) as running:
        yield running
