"""Under which licences what is distributed stands, and which of them the project may distribute.

The explorer's packages have theirs in licenses.md beside its assets, which its build writes.
"""

import re
from dataclasses import dataclass
from importlib.metadata import PackageMetadata
from pathlib import Path

ALLOWED = frozenset({"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"})
"""Permissive: they ask for their text, which is in the packages and in licenses.md."""

UNCHANGED = frozenset({"CC-BY-4.0", "MPL-2.0", "OFL-1.1"})
"""They ask for more of whoever changes the files; the project ships them as they came."""

_SAME = {"Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0"}

_READ_BY_HAND = {
    "aiodataloader": "MIT",
    "python-dateutil": "Apache-2.0 AND BSD-3-Clause",
    "uvloop": "Apache-2.0 OR MIT",
    "wrapt": "BSD-2-Clause",
}
"""Packages whose metadata name no licence, or not precisely; their licence files do."""

_ENTRY = re.compile(r"^## (?P<name>\S+) - (?P<version>\S+) \((?P<expression>[^)]+)\)$", re.MULTILINE)


class LicenceError(Exception):
    """A licence is missing or not one of those that are allowed."""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A package, or a font, of the explorer's assets with its licence's text."""

    name: str
    version: str
    expression: str
    text: str


def python_licence(metadata: PackageMetadata) -> str:
    """The SPDX expression of an installed package; LicenceError where it has to be read by hand first."""
    name = metadata["Name"].lower().replace("_", "-")
    said = _field(metadata, "License")
    expression = _field(metadata, "License-Expression") or _READ_BY_HAND.get(name) or _SAME.get(said, said)
    if not expression:
        raise LicenceError(f"{name} names no licence: read its licence file, and say it in release/licences.py")
    return allowed(name, expression)


def _field(metadata: PackageMetadata, name: str) -> str:
    return str((metadata.get_all(name) or [""])[0])


def bundled_licences(licenses_md: Path) -> list[Bundled]:
    """What licenses.md lists, in its order; LicenceError where a licence is not allowed or has no text."""
    document = licenses_md.read_text().partition("\n# Notices of ")[0]
    entries = list(_ENTRY.finditer(document))
    ends = [entry.start() for entry in entries[1:]] + [len(document)]
    bundled = []
    for entry, end in zip(entries, ends, strict=True):
        text = document[entry.end() : end].strip()
        if not text:
            raise LicenceError(f"{entry['name']} {entry['version']} has no licence text in {licenses_md.name}")
        expression = allowed(entry["name"], entry["expression"])
        bundled.append(Bundled(entry["name"], entry["version"], expression, text))
    return bundled


def allowed(name: str, expression: str) -> str:
    """The expression again, where each licence in it may be distributed; LicenceError otherwise."""
    parts = set(re.split(r"\s+(?:AND|OR)\s+", re.sub(r"[()]", " ", expression).strip()))
    if unknown := {part.strip() for part in parts} - ALLOWED - UNCHANGED:
        raise LicenceError(f"{name}: not a licence that release/licences.py allows: {', '.join(sorted(unknown))}")
    return expression
