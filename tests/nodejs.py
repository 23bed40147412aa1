"""Node, for the checks that JavaScript has and Python has not. What is missing fails the test that asks."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

INSTALL_S = 120
"""A clean install takes a second or two; a registry on a bad day takes longer."""


def run_node(script: Path, *arguments: str, timeout_s: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a script with its folder's locked packages and answer what it printed; AssertionError where it fails."""
    command = node_command(script, *arguments)
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{script.name} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def node_command(script: Path, *arguments: str) -> list[str]:
    """The command that runs a script, after its packages were installed."""
    install_packages(script.parent)
    return [_program("node"), str(script), *arguments]


@cache
def install_packages(folder: Path) -> None:
    """Install what package-lock.json says, once a run."""
    command = [_program("npm"), "ci", "--ignore-scripts", "--no-fund", "--no-audit"]
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, f"npm ci in {folder.name} ended with {done.returncode}:\n{done.stdout}"


def _program(name: str) -> str:
    path = shutil.which(name)
    assert path is not None, f"{name} is not on PATH: install Node 20 or later"
    return path
