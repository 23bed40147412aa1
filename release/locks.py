"""Reading lock files, as `make lock` writes them; a line that is not understood is an error."""

import re
from dataclasses import dataclass
from pathlib import Path

_ENTRY = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True, slots=True)
class Locked:
    """A package at its version; `hashes` are the SHA-256 of the files that may be installed, in hex."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]


def read_lock(path: Path) -> list[Locked]:
    """The packages of a lock file, one with several markers more than once; ValueError names any other line."""
    locked = []
    for line in re.sub(r"\s*\\\n\s*", " ", path.read_text()).splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise ValueError(f"{path.name}: not a package with its hashes: {line[:100]}")
        hashes = frozenset(re.findall(r"sha256:([0-9a-f]{64})", entry["hashes"]))
        locked.append(Locked(entry["name"], entry["version"], entry["marker"] or "", hashes))
    return locked
