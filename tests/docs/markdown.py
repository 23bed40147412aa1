"""The links of a Markdown page, and the anchors of its headings; its blocks are blocks.py's."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOT_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "helm/README.md")
PAGES = [*(ROOT / name for name in ROOT_PAGES), *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^ *(```+)([^\n`]*)\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]*)\)")
_CODE = re.compile(r"`[^`\n]*`")


def links(page: Path) -> Iterator[str]:
    """Where a page's links lead within the project."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text()))
    return (link for link in _LINK.findall(text))


def anchors(page: Path) -> set[str]:
    """What `#…` may name, as GitHub makes it of headings."""
    text = _FENCE.sub("", page.read_text())
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
        if found[name]:
            found[f"{name}-{found[name]}"] = 0
    return set(found)
