"""The context of a build: what .dockerignore lets through, by the part of Docker's rules that it uses."""

import os
import re
from pathlib import Path

from tests.image.dockerfile import ROOT


def build_context() -> set[str]:
    """The files of this checkout that a build is sent."""
    rules = ignore_rules(ROOT / ".dockerignore")
    paths = [Path(folder, name) for folder, _, names in os.walk(ROOT) for name in names]
    relative = (path.relative_to(ROOT).as_posix() for path in paths)
    return {path for path in relative if not is_ignored(path, rules)}


def ignore_rules(path: Path) -> list[tuple[bool, re.Pattern[str]]]:
    """The rules of a .dockerignore in order: whether it ignores, and the paths it is about, with all below."""
    rules = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
            rules.append((not line.startswith("!"), re.compile(f"{pattern}(/.*)?")))
    return rules


def is_ignored(path: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    """Whether a file stays out of the context: the last rule that speaks of it decides."""
    return [ignores for ignores, pattern in rules if pattern.fullmatch(path)][-1]
