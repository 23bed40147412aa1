"""Links within the project lead somewhere."""

from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative path is there, and every anchor is a heading of its page."""
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_wrong_links_are_found(tmp_path: Path) -> None:
    """A missing page and a missing heading are; code is no link."""
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n[a](#one-two) [b](#three) [c](gone.md) [d](page.md#one-two) `[e](gone.md)`\n")
    assert [link for link in links(page) if not leads_somewhere(page, link)] == ["#three", "gone.md"]


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether there is what a link of the page names."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))
