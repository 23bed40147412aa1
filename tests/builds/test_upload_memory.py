"""A large upload through a real process."""

import pytest

from benchmarks.uploads import measure


@pytest.mark.ci
def test_upload_memory_when_the_limit_is_raised() -> None:
    """100 MB are never whole in memory: the process grows by less than 20 MB while they pass."""
    assert measure(100)["moved by, MB"] < 20
