"""A fresh table of before for each test."""

import pytest

from tests.migration.stage import Stage, new_stage


@pytest.fixture
def stage(aws_server: str) -> Stage:
    """A table without rows and without the index."""
    return new_stage(aws_server)
