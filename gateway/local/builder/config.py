"""What one builder stand-in is told when it starts."""

import enum
from dataclasses import dataclass, field
from pathlib import Path

from gateway.local.registry import HOST


class Mode(enum.StrEnum):
    """What a build makes: a WASM component, or (without a sandbox) the Python source packed as it is."""

    WASM = "wasm"
    PYTHON = "python"


class Dialect(enum.StrEnum):
    """Whether tasks are spelled as the running Builder Service spells them, or as its documents do."""

    RUNNING = "running"
    DOCUMENTED = "documented"


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong, seen of the real service one by one; may be changed while it runs."""

    stale: bool = False
    """GET /tasks/{id} answers `running` for ever, as a replica that remembers a task does; the list does not."""
    forgetful: bool = False
    """GET /tasks/{id} answers 404, as after a restart without the workspace; the list knows."""
    crashing: frozenset[str] = frozenset()
    """Calls, by the last fixed part of their path such as `deploy`, that answer 500 in plain text."""
    answer_delay_s: float = 0
    """Before every answer."""
    push_error: str | None = None
    """What a push fails with, in the registry's words."""
    push_hangs: bool = False
    """A push that nobody allowed may never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderConfig:
    """Where the stand-in keeps things, what stands behind it, and how it behaves."""

    data_dir: Path
    registry: Path
    kubernetes_url: str
    table: str
    bucket: str
    mode: Mode = Mode.WASM
    dialect: Dialect = Dialect.RUNNING
    namespaces: tuple[str, ...] = ("default",)
    registry_url: str = f"{HOST}/functions"
    """What build-and-push pushes to in the running dialect, whatever it is sent."""
    aws_region: str = "ap-northeast-2"
    aws_endpoint_url: str | None = None
    step_timeout_s: float = 60
    """Seconds for each of type check, build and compilation: ten times what a small function takes."""
    concurrency: int = 2
    """Builds at a time; one peaks at 550 MB."""
    faults: Faults = field(default_factory=Faults)
