"""The lock files agree with pyproject.toml and with each other; where a test fails, `make lock` mends it."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.locks import Locked, read_lock
from tests.image.dockerfile import ROOT

DEVELOPMENT = ROOT / "requirements.lock"
RUNTIME = ROOT / "release" / "runtime.lock"
OTHERS = {"build": ROOT / "release" / "build.lock", "release": ROOT / "release" / "tools.lock"}
IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "extra": ""}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_runtime_is_part_of_what_is_tested() -> None:
    """The image installs the very files that developers do, at the same versions."""
    assert set(read_lock(RUNTIME)) - set(read_lock(DEVELOPMENT)) == set()


def test_runtime_is_what_the_project_needs(project: dict[str, Any]) -> None:
    """Every dependency, and what that depends on, is locked; nothing else is: no extra, no tool."""
    needed: set[str] = set()
    add_needed(project["project"]["dependencies"], needed)
    assert [one.name for one in read_lock(RUNTIME)] == sorted(needed)


def add_needed(requirements: list[str], needed: set[str], extras: frozenset[str] = frozenset()) -> None:
    """Add the names that requirements come to on the image's system, as the installed packages say."""
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker and not any(marker.evaluate({**IMAGE, "extra": extra}) for extra in ("", *extras)):
            continue
        name = canonicalize_name(requirement.name)
        if name not in needed or requirement.extras:
            needed.add(name)
            add_needed(importlib.metadata.requires(name) or [], needed, frozenset(requirement.extras))


def test_locked_versions_are_those_asked_for(project: dict[str, Any]) -> None:
    """pyproject.toml was not changed since: each requirement of it is met."""
    groups = project["dependency-groups"]
    asked = [
        (DEVELOPMENT, [*project["project"]["dependencies"], *groups["dev"]]),
        (DEVELOPMENT, project["project"]["optional-dependencies"]["local"]),
        (RUNTIME, project["project"]["dependencies"]),
        *((path, groups[group]) for group, path in OTHERS.items()),
    ]
    unmet = [(path.name, line) for path, lines in asked for line in lines if not is_met(line, read_lock(path))]
    assert unmet == []


def is_met(line: str, locked: list[Locked]) -> bool:
    """Whether what a lock has of a package is what a requirement admits."""
    requirement = Requirement(line)
    versions = [one.version for one in locked if one.name == canonicalize_name(requirement.name)]
    return versions != [] and all(requirement.specifier.contains(version) for version in versions)


def test_image_builds_as_the_project_says(project: dict[str, Any]) -> None:
    """The image's wheel is built without isolation, so its builder is locked: the same that pip would take."""
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]


@pytest.mark.parametrize("path", [DEVELOPMENT, RUNTIME, *OTHERS.values()], ids=lambda path: path.name)
def test_locks_have_no_address(path: Path) -> None:
    """Where packages come from is the machine's to say; what they are, the hashes say."""
    text = path.read_text()
    assert "://" not in text
    assert len(read_lock(path)) == len(re.findall(r"^\S+==", text, re.MULTILINE))


@pytest.mark.parametrize("path", ["Makefile", "Dockerfile", ".ci/run", "tests/image/conftest.py"])
def test_nothing_is_resolved_when_a_lock_is_installed(path: str) -> None:
    """pip looks for an extra of a locked package anew, and fails as soon as a newer version of it is released."""
    installs = [line for line in (ROOT / path).read_text().splitlines() if "--require-hashes" in line]
    assert installs != []
    assert [line for line in installs if "--no-deps" not in line] == []


def test_read_lock_refuses_what_has_no_hash(tmp_path: Path) -> None:
    """A package without a hash would be installed unseen, and an option would go unread."""
    for wrong in ("one==1.0\n", "--index-url there\n", "one==1.0 \\\n    --hash=sha256:00\n"):
        (tmp_path / "wrong.lock").write_text(wrong)
        with pytest.raises(ValueError, match=r"wrong\.lock: not a package with its hashes"):
            read_lock(tmp_path / "wrong.lock")
