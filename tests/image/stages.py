"""Doing what the Dockerfile's stages do, in a folder and with this Python: its commands, not copies of them.

The image's absolute paths are folders below `root`; a virtual environment stands for the base image's Python. What
needs an engine (FROM, USER, the layers) is left out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.context import build_context
from tests.image.dockerfile import ROOT, Instruction, Stage

COMMAND_TIMEOUT_S = 600
"""For a RUN: the longest downloads 20 MB, and a registry may have a bad day."""


@dataclass
class Built:
    """A file system under construction; `environment` is what ENV and ARG of the stage at hand have set."""

    root: Path
    arguments: Mapping[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"

    def path(self, inside: str) -> Path:
        """Where a path of the image is."""
        return self.root / Path("/", self.workdir, inside).relative_to("/")

    def mapped(self, text: str) -> str:
        """A command or value with the image's folders replaced."""
        return re.sub(r"(?<![\w./-])/(?=opt\b|build\b)", f"{self.root}/", text)


def new_base(root: Path) -> Path:
    """Make what stands for the base image: a Python with pip; the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", root / "base"], check=True, timeout=COMMAND_TIMEOUT_S)
    return root / "base" / "bin"


def build(stages: list[Stage], root: Path, arguments: Mapping[str, str]) -> dict[str, str]:
    """Do what all stages say, in `root`; the environment that the last one leaves."""
    environment = {"PATH": f"{new_base(root)}:{os.defpath}"}
    for stage in stages:
        built = Built(root, arguments, dict(environment))
        for instruction in stage.instructions:
            if action := ACTIONS.get(instruction.keyword):
                action(built, instruction)
    return {name: value for name, value in built.environment.items() if name not in arguments}


def _set(built: Built, instruction: Instruction) -> None:
    for name, value in instruction.pairs().items():
        expanded = re.sub(r"\$(\w+)", lambda found: built.environment[found[1]], value)
        built.environment[name] = built.mapped(expanded)


def _declare(built: Built, instruction: Instruction) -> None:
    for name, default in instruction.pairs().items():
        built.environment[name] = built.arguments.get(name, default)


def _enter(built: Built, instruction: Instruction) -> None:
    built.workdir = instruction.text
    built.path(".").mkdir(parents=True, exist_ok=True)


def _copy(built: Built, instruction: Instruction) -> None:
    *sources, target = instruction.words()
    if sources[0].startswith("--from="):
        # The programs of an environment have its path in them: it stays where it was made.
        assert sources[1:] == [target]
        assert built.path(target).is_dir()
        return
    for file in sorted(build_context()):
        for source in sources:
            if file == source:
                _put(file, built.path(target) / Path(file).name if target.endswith("/") else built.path(target))
            elif file.startswith(f"{source}/"):
                _put(file, built.path(target) / Path(file).relative_to(source))


def _put(file: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / file, target)


def _run(built: Built, instruction: Instruction) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", built.mapped(instruction.text)],
        cwd=built.path("."),
        # What a machine is told about its registry holds here too; nothing else of its environment does.
        env=_registry() | built.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"RUN {instruction.text}\nended with {done.returncode}:\n{done.stdout}"


def _registry() -> dict[str, str]:
    names = re.compile(r"(HOME|PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|https?_proxy|no_proxy)", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if names.fullmatch(name)}


ACTIONS = {"ENV": _set, "ARG": _declare, "WORKDIR": _enter, "COPY": _copy, "RUN": _run}
