"""The fenced blocks of a document, in its order, with what a comment right above one says about it.

A comment is `<!-- word: value -->`, invisible to readers. What the words mean is for the tests that use them.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)\s*$")
_COMMENT = re.compile(r"^ *<!-- (?P<word>[a-z ]+)(?:: (?P<value>.*?))? -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A block; `place` is where it begins, as `clients.md:12`, `heading` the nearest one above."""

    language: str
    text: str
    place: str
    heading: str
    notes: dict[str, str] = field(default_factory=dict)


def read_blocks(name: str) -> list[Block]:
    """The blocks of a document in `docs`; ValueError for one that does not end."""
    blocks: list[Block] = []
    notes: dict[str, str] = {}
    heading = ""
    lines = enumerate((DOCS / name).read_text().split("\n"), start=1)
    for number, line in lines:
        if fence := _FENCE.match(line):
            inside = _until_fence(lines, fence["indent"], f"{name}:{number}")
            blocks.append(Block(fence["language"], inside, f"{name}:{number}", heading, notes))
            notes = {}
        elif comment := _COMMENT.match(line):
            notes = {**notes, comment["word"]: comment["value"] or ""}
        elif line.strip():
            notes = {}
            if line.startswith("#"):
                heading = line.lstrip("# ")
    return blocks


def example_ids(name: str) -> list[str]:
    """The ids that stand for others in a document, as its comment `stands for` lists them."""
    found = re.search(r"<!-- stands for: (.*?) -->", (DOCS / name).read_text())
    return found[1].split() if found else []


def _until_fence(lines: "enumerate[str]", indent: str, place: str) -> str:
    inside: list[str] = []
    for _, line in lines:
        if line.rstrip() == f"{indent}```":
            return "".join(f"{each}\n" for each in inside)
        inside.append(line.removeprefix(indent))
    raise ValueError(f"{place}: the block has no end")
