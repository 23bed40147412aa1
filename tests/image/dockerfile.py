"""Reading the Dockerfile, as far as this project's goes: stages of instructions, and what they copy."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its keyword in capitals, and its text on one line."""

    keyword: str
    text: str

    def words(self) -> list[str]:
        """The words of it, unquoted: those of the JSON form where it has that."""
        return list(json.loads(self.text)) if self.text.startswith("[") else shlex.split(self.text)

    def pairs(self) -> dict[str, str]:
        """What ENV, LABEL or ARG set; an ARG without a value is empty."""
        return {name: value for name, _, value in (word.partition("=") for word in self.words())}


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it; `name` is empty where nothing refers to the stage."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, keyword: str) -> list[Instruction]:
        """The instructions of a kind, in their order."""
        return [instruction for instruction in self.instructions if instruction.keyword == keyword]

    def one(self, keyword: str) -> Instruction:
        """The only instruction of a kind."""
        (instruction,) = self.all(keyword)
        return instruction


def read_dockerfile(path: Path = DOCKERFILE) -> list[Stage]:
    """The stages of a Dockerfile; ValueError where one has an instruction before the first FROM."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    stages: list[tuple[str, list[Instruction]]] = []
    for line in filter(None, logical):
        keyword, _, text = line.strip().partition(" ")
        if keyword == "FROM":
            stages.append((text, []))
        elif stages:
            stages[-1][1].append(Instruction(keyword, text.strip()))
        else:
            raise ValueError(f"not in a stage: {line}")
    return [
        Stage(base, name, tuple(instructions))
        for (base, _, name), instructions in ((text.partition(" AS "), made) for text, made in stages)
    ]


def copied_from_context(stages: list[Stage]) -> set[str]:
    """The paths that the stages copy from the build's context."""
    copies = [copy.words() for stage in stages for copy in stage.all("COPY")]
    return {path for words in copies if not words[0].startswith("--from=") for path in words[:-1]}
