"""A gateway for all tests of a module, and a function for each."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.web.stage import Hall, Stage, opened_hall


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hall(aws_server: str) -> AsyncIterator[Hall]:
    """A gateway for all tests of a module."""
    async with opened_hall(aws_server) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def stage(hall: Hall) -> Stage:
    """A function that accepts GET and POST."""
    return await hall.stage("GET", "POST")
