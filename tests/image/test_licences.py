"""Licences of what is distributed: Python packages, and what the explorer's build bundles."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

from release.licences import LicenceError, allowed, bundled_licences, python_licence
from release.locks import Locked, read_lock
from tests.image.dockerfile import ROOT

EXPLORER = ROOT / "gateway" / "web" / "explorer"
LICENSES = EXPLORER / "static" / "licenses.md"

NOT_BUNDLED = {
    "@internationalized/date",
    "@internationalized/number",
    "@internationalized/string",
    "@n1ru4l/push-pull-async-iterable-iterator",
    "@radix-ui/react-arrow",
    "@radix-ui/react-use-rect",
    "@radix-ui/rect",
    "@react-aria/focus",
    "@react-aria/interactions",
    "@react-types/shared",
    "@swc/helpers",
    "argparse",
    "debounce-promise",
    "detect-node-es",
    "meros",
    "tabbable",
}
"""Locked packages of which no module is in the assets: types, and what the page makes no use of."""


def test_python_packages_may_be_distributed() -> None:
    """Each package of the image says a licence that is allowed."""
    expressions = [python_licence(importlib.metadata.metadata(one.name)) for one in locked()]
    assert len(expressions) == len(locked()) > 40


def locked() -> list[Locked]:
    """What the image installs."""
    return read_lock(ROOT / "release" / "runtime.lock")


def test_bundled_packages_are_listed() -> None:
    """Every locked package is listed, at its version and with its licence's text, or known not to be bundled."""
    bundled = bundled_licences(LICENSES)
    packages = json.loads((EXPLORER / "package-lock.json").read_text())["packages"]
    installed = {
        (path.rpartition("node_modules/")[2], package["version"])
        for path, package in packages.items()
        if path and not package.get("dev")
    }
    listed = {(one.name, one.version) for one in bundled}
    assert {name for name, _ in installed} - {name for name, _ in listed} == NOT_BUNDLED
    assert {name for name, _ in listed - installed} == {"codicons", "fira-code", "roboto"}
    assert [one.name for one in bundled if len(one.text) < 250] == []


def test_fonts_are_listed() -> None:
    """The assets have the fonts that licenses.md speaks of: two of Roboto, one of Fira Code, Monaco's icons."""
    names = [path.name for path in (EXPLORER / "static" / "assets").iterdir()]
    fonts = [name.partition("-")[0] for name in names if re.search(r"\.(ttf|otf|woff2?)(\.gz)?$", name)]
    assert sorted(fonts) == ["codicon", "font", "font", "font"]


@pytest.mark.parametrize(
    "expression", ["GPL-3.0-only", "MIT AND LGPL-2.1-only", "(MIT OR Proprietary)", "UNKNOWN"]
)
def test_other_licences_are_refused(expression: str) -> None:
    """One that is not allowed is named with its package."""
    with pytest.raises(LicenceError, match=r"^left-pad: not a licence that release/licences\.py allows: "):
        allowed("left-pad", expression)


def test_licence_without_a_text_is_refused(tmp_path: Path) -> None:
    """A name is no licence: its text has to go with what is distributed."""
    (tmp_path / "licenses.md").write_text("# Licences\n\n## one - 1.0.0 (MIT)\n\n## two - 2.0.0 (MIT)\n\nMIT …\n")
    with pytest.raises(LicenceError, match=r"^one 1\.0\.0 has no licence text in licenses\.md$"):
        bundled_licences(tmp_path / "licenses.md")
