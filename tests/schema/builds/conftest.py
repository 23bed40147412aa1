"""A gateway on a socket, before a builder that tests script."""

from collections.abc import AsyncIterator

import pytest

from tests.builds.live import LiveGateway, live_gateway
from tests.builds.script import ScriptedBuilder, scripted_builder
from tests.stores import prepared_settings


@pytest.fixture
async def script() -> AsyncIterator[ScriptedBuilder]:
    """A Builder Service that says what it is told to."""
    async with scripted_builder() as script:
        yield script


@pytest.fixture
async def gateway(aws_server: str, script: ScriptedBuilder) -> AsyncIterator[LiveGateway]:
    """A gateway that polls the builder every 50 ms."""
    settings = await prepared_settings(aws_server)
    async with live_gateway(settings, builder_service_url=script.url, build_poll_interval_s=0.05) as gateway:
        yield gateway
