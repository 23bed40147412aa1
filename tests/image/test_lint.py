"""hadolint on the Dockerfile."""

import subprocess
from pathlib import Path

import pytest

from tests.image.dockerfile import DOCKERFILE

pytestmark = pytest.mark.ci


def lint(tools: Path, dockerfile: Path) -> tuple[int, str]:
    """The linter's exit code, and what it says."""
    command = [f"{tools}/hadolint", "--no-color", "--failure-threshold", "style", str(dockerfile)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_linter_has_nothing_to_say(tools: Path) -> None:
    """No rule is switched off."""
    assert lint(tools, DOCKERFILE) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text()


def test_linter_sees_faults(tools: Path, tmp_path: Path) -> None:
    """A base without a tag, and a shell's string for a command, are seen: it does look."""
    (tmp_path / "Dockerfile").write_text("FROM python\nCMD blue-gateway serve\n")
    code, said = lint(tools, tmp_path / "Dockerfile")
    assert code == 1
    assert [rule for rule in ("DL3006", "DL3025") if rule in said] == ["DL3006", "DL3025"]
