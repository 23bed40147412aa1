"""The builds' parts on a fresh table, with a builder that tests script; all in the session's event loop."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.builds.script import ScriptedBuilder, scripted_builder
from tests.builds.stage import Stage, staged
from tests.builds.stores import AwsClients, aws_clients


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def aws(aws_server: str) -> AsyncIterator[AwsClients]:
    """The clients of the session."""
    async with aws_clients(aws_server) as clients:
        yield clients


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def script_of_session() -> AsyncIterator[ScriptedBuilder]:
    """A Builder Service on a socket."""
    async with scripted_builder() as script:
        yield script


@pytest.fixture
def script(script_of_session: ScriptedBuilder) -> ScriptedBuilder:
    """A Builder Service that says what it is told to."""
    script_of_session.reset()
    return script_of_session


@pytest_asyncio.fixture(loop_scope="session")
async def stage(aws: AwsClients, script: ScriptedBuilder) -> AsyncIterator[Stage]:
    """The gateway's parts around it."""
    async with staged(aws, script.url) as stage:
        yield stage
