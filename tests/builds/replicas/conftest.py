"""A builder that waits for the test, and what the replicas before it share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.builds.replicas.builder import PacedBuilder, paced_builder
from tests.builds.replicas.platform import Platform, platform


@pytest.fixture
async def builder() -> AsyncIterator[PacedBuilder]:
    """A Builder Service that waits for the test."""
    async with paced_builder() as builder:
        yield builder


@pytest.fixture
async def shared(aws_server: str, builder: PacedBuilder, tmp_path: Path) -> AsyncIterator[Platform]:
    """What the replicas share."""
    async with platform(aws_server, builder.url, tmp_path) as shared:
        yield shared
