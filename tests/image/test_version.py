"""The version stands in gateway/__init__.py; what else names it has it from there, or is held against it here."""

import re
import subprocess
import sys
import tomllib

from gateway import __version__
from tests.image.dockerfile import ROOT


def test_version_is_semantic() -> None:
    """Three numbers, and a pre-release where there is one."""
    assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z.-]+)?", __version__)


def test_project_and_command_have_the_version() -> None:
    """The wheel takes it from the same file; the command prints it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"] == {"path": "gateway/__init__.py"}
    command = [sys.executable, "-m", "gateway", "--version"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert printed == f"{__version__}\n"


def test_chart_installs_the_version() -> None:
    """The image's default tag is the chart's appVersion; both are released together."""
    chart = (ROOT / "helm" / "Chart.yaml").read_text()
    assert re.findall(r'^(?:v|appV)ersion: "?(.+?)"?$', chart, re.MULTILINE) == [__version__] * 2
