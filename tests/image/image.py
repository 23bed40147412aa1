"""What the stages left: its files, and commands in it that know nothing of this machine's environment."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.image.dockerfile import Stage

_WITHOUT_PRIVILEGES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
"""What makes of root somebody whom a missing write permission stops."""


@dataclass(frozen=True, slots=True)
class Image:
    """A file system in the folder `root`, and what the final stage says of it."""

    root: Path
    environment: dict[str, str]
    final: Stage

    @property
    def words(self) -> list[str]:
        """What a container starts."""
        return [*self.final.one("ENTRYPOINT").words(), *self.final.one("CMD").words()]

    def command(self, words: list[str], settings: Mapping[str, str]) -> list[str]:
        """A command as a container starts it: the image's environment and its settings, and no privileges."""
        pairs = [f"{name}={value}" for name, value in {**self.environment, **settings}.items()]
        return [*(_WITHOUT_PRIVILEGES if os.geteuid() == 0 else []), "env", "-i", *pairs, *words]

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = self.command(list(words), settings)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    @property
    def site_packages(self) -> Path:
        """Where the packages are."""
        (folder,) = (self.root / "opt" / "blue-gateway" / "lib").glob("python3.*/site-packages")
        return folder

    def files(self) -> dict[Path, tuple[int, int]]:
        """Everything that is there, with size and time of change."""
        return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in self.root.rglob("*")}
