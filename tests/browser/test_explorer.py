"""The explorer in a real browser on the whole platform; and that its assets are what its sources build."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodejs import run_node
from tests.serving import serving

pytestmark = pytest.mark.ci

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "gateway" / "web" / "explorer"
STOP_S = 30
"""Seconds the platform may take to end its processes."""


@pytest.fixture
def platform_url(tmp_path: Path) -> Iterator[str]:
    """The GraphQL address of `blue-gateway local` on an empty folder, with WASM."""
    command = [sys.executable, "-m", "gateway", "local", "--port", "0", "--data-dir", str(tmp_path / "data")]
    announcement = r"(http://127\.0\.0\.1:\d+/graphql)"
    with serving(
        command, tmp_path / "platform.log", announcement=announcement, start_s=60, stop_s=STOP_S
    ) as served:
        yield served.url


def test_walk_in_chromium(platform_url: str, tmp_path: Path) -> None:
    """The walk by clicks, with nothing leaving the origin; EXPLORER_SCREENSHOTS names a folder for pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium is not None, "chromium is not on PATH: apt-get install chromium"
    screenshots = os.environ.get("EXPLORER_SCREENSHOTS", str(tmp_path))
    arguments = [platform_url, "--chromium", chromium, "--screenshots", screenshots]
    printed = run_node(HERE / "explorer.mjs", *arguments, timeout_s=420)
    assert printed.splitlines()[-1].startswith("no answer: ok")


def test_ids_are_carried_from_tab_to_tab() -> None:
    """What is made in one tab of the walk is filled into the others."""
    assert "# pass 3\n# fail 0\n" in run_node(HERE / "ids.test.mjs", timeout_s=30)


def test_committed_assets_are_what_the_sources_build() -> None:
    """A build from the locked packages gives the assets that are committed."""
    done = subprocess.run(
        [SOURCES / "build.sh", "--check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
