"""What the operator's guide shows: its commands, documents and log lines are the gateway's."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from gateway.server import KEEP_ALIVE_S
from gateway.settings import Settings
from schema.transport.uploads import MAX_UPLOADS, TURN_TIMEOUT_S
from tests.docs.blocks import DOCS, read_blocks
from tests.docs.markdown import PAGES, ROOT
from tests.docs.test_tables import SOURCES

GUIDE = DOCS / "operating.md"
COMMAND = re.compile(r"blue-gateway (?!-faas)([a-z]+(?: --?[a-z-]+(?:[ =][\w./:-]+)?)*)")
LEVELS = {"error": "ERROR", "exception": "ERROR", "warning": "WARNING", "log": "WARNING", "info": "INFO"}


def test_commands_of_the_guide_run(tmp_path: Path) -> None:
    """Those with the comment `run`, in a folder that has the chart, with the command line at hand."""
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    scripts = [block.text for block in read_blocks(GUIDE.name) if "run" in block.notes]
    assert scripts
    for script in scripts:
        command = ["bash", "-euo", "pipefail", "-c", script]
        ended = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": path}, check=False, timeout=60)
        assert ended.returncode == 0, script
    for role in ("serve", "migrate"):
        policy = (tmp_path / f"{role}-policy.json").read_text()
        assert json.loads(policy)["Version"] == "2012-10-17"
        assert not re.search(r"REGION|ACCOUNT|TABLE|BUCKET", policy)


@pytest.mark.parametrize("name", sorted(page.name for page in DOCS.glob("*.md")))
def test_documents_parse(name: str) -> None:
    """JSON and YAML in fenced blocks."""
    for block in read_blocks(name):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    """Each `blue-gateway …` in text and blocks is a command with options that it has."""
    for called in COMMAND.findall(page.read_text()):
        command, *rest = shlex.split(called)
        words = help_of(command)
        missing = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in words]
        assert not missing, f"blue-gateway {called}"


def test_make_targets_exist() -> None:
    """Each `make …` of the guide is a target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(block.text for block in read_blocks(GUIDE.name))
    named = set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named
    assert named <= targets


def test_settings_of_the_guide_exist() -> None:
    """What looks like the name of a setting is one."""
    known = {name.upper() for name in Settings.model_fields}
    prefixes = tuple({name.partition("_")[0] + "_" for name in known if "_" in name})
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z0-9]+)+)(?:=\w+)?`", GUIDE.read_text()))
    assert len(named) > 10
    assert {name for name in named if name.startswith(prefixes)} - CODES - known == set()


CODES = {"BUILDER_CONNECTION_ERROR", "DYNAMODB_ERROR", "LOKI_ERROR", "KUBERNETES_ERROR"}
"""What begins like a setting and is an error's code."""


def test_figures_of_the_chart_are_its_own() -> None:
    """Times and sizes that the guide explains are the defaults of helm/values.yaml."""
    values = yaml.safe_load((ROOT / "helm" / "values.yaml").read_text())
    before, drain_s = values["preStopSeconds"], values["settings"]["DRAIN_TIMEOUT_S"]
    request, limit = (values["resources"][kind]["memory"].replace("Mi", " MiB") for kind in ("requests", "limits"))
    text = " ".join(GUIDE.read_text().split())
    assert f"idle timeout is {values['ingress']['idleTimeoutSeconds']} s" in text
    assert f"keeps idle connections for {KEEP_ALIVE_S} s" in text
    assert f"waits for {before} s" in text
    assert f"has {before + drain_s + 10} s: {before} + `DRAIN_TIMEOUT_S` + 10" in text
    assert f"Request {request}, limit {limit}" in text
    assert f"takes {MAX_UPLOADS} at a time, and the chart gives `/tmp` room for {MAX_UPLOADS} of" in text
    assert f"One more waits for {TURN_TIMEOUT_S:g} s" in text


def test_log_lines_of_the_guide_exist() -> None:
    """Each line of its table is written at that level."""
    table = GUIDE.read_text().partition("| level | line |")[2].partition("\n\n")[0]
    shown = set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", table, re.MULTILINE))
    assert len(shown) > 10
    assert shown - {line for path in SOURCES for line in log_lines(path)} == set()


def log_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Level and text of what a source logs."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logger"), attr=attribute), args=[*arguments]):
                for argument in arguments[:2]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield LEVELS.get(attribute, ""), argument.value


@cache
def help_of(command: str) -> set[str]:
    """The words of a command's help."""
    printed = subprocess.run(
        [sys.executable, "-m", "gateway", command, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert printed.returncode == 0, f"blue-gateway {command}: {printed.stderr}"
    return set(re.findall(r"--?[a-z-]+", printed.stdout))
