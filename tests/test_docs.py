"""The documents at the root agree with the project; those in docs/ are looked at in tests/docs."""

import re
from pathlib import Path

from gateway import __version__

ROOT = Path(__file__).parents[1]


def test_changelog_has_the_version() -> None:
    """The version has a section of its own."""
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_map_names_what_exists() -> None:
    """Every path that CONTRIBUTING's map names is there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.partition("## The map")[2].partition("\n## ")[0]
    named = re.findall(r"^\s*- `([^`]+)`", section, re.MULTILINE)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_make_help_lists_the_targets() -> None:
    """Every target the README speaks of exists."""
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"run", "test"} <= named
    assert [target for target in sorted(named) if f"\n{target}:" not in makefile] == []
