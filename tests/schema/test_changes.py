"""No change that breaks clients goes out unannounced: the schema against the one of the last release.

released.graphql is that one: `make released` writes it when the version is raised. contract.graphql is what can't
be given up even with an announcement, see test_contract.py.
"""

from pathlib import Path

import pytest
from graphql import build_schema

from gateway import __version__
from tests.schema.changes import changes, unnamed, unreleased

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RELEASED = (HERE / "released.graphql").read_text()
RELEASED_VERSION = RELEASED.split(maxsplit=2)[1]  # "# 0.1.0 as …"

BEFORE = """
directive @beta on FIELD_DEFINITION | OBJECT
interface Node { id: ID! }
interface Named { name: String! }
scalar Old
union Found = Function | Shop
enum Status { ACTIVE DISABLED }
input Options { size: Int! = 5, old: Old }
type Function implements Node {
  id: ID!, code: String!, status: Status!
  logs(first: Int! = 20, after: String): [String]
}
type Shop { name: String! }
type Query { function(id: ID, options: Options): Function, found: Found, named: Named }
"""
BREAKING = [
    ("Function.code", "code: String!,", ""),
    ("Function.code", "code: String!", "code: Int!"),
    ("Function.code", "code: String!", "code: String"),
    ("Function.logs", ": [String]", ": String"),
    ("Function.logs(after:)", ", after: String", ""),
    ("Function.logs(after:)", "after: String", "after: String!"),
    ("Function.logs(after:)", "after: String", "after: ID"),
    ("Function.logs(first:)", "first: Int! = 20", "first: Int!"),
    ("Function.logs(since:)", "after: String", "after: String, since: String!"),
    ("Options.size", "size: Int! = 5,", ""),
    ("Options.size", "size: Int! = 5", "size: Int!"),
    ("Options.old", "old: Old", "old: Old!"),
    ("Options.name", "old: Old", "old: Old, name: String!"),
    ("Status.DISABLED", "ACTIVE DISABLED", "ACTIVE"),
    ("Status", "enum Status { ACTIVE DISABLED }", "scalar Status"),
    ("Function", "type Function implements Node {", "type Function {"),
    ("Found", "= Function | Shop", "= Function"),
    ("Named", "interface Named { name: String! }", ""),
    ("@beta", "directive @beta on FIELD_DEFINITION | OBJECT", ""),
    ("@beta", "FIELD_DEFINITION | OBJECT", "OBJECT"),
]
SURPRISING = [
    ("Status.FAILED", "ACTIVE DISABLED", "ACTIVE DISABLED FAILED"),
    ("Function.logs(first:)", "first: Int! = 20", "first: Int! = 10"),
    ("Options.size", "size: Int! = 5", "size: Int! = 6"),
    ("Shop", "type Shop {", "type Shop implements Named {"),
    ("Found", "= Function | Shop", "= Function | Shop | Query"),
]
HARMLESS = [
    ("code: String!", "code: String!, name: String"),
    ("after: String", "after: String, since: String"),
    ("old: Old", "old: Old, name: String"),
    ("type Shop", '"A shop." type Shop'),
]


def test_changes_since_the_release_are_named_in_the_changelog() -> None:
    """Each change that clients notice has its coordinate in the sections above the released version's."""
    section = unreleased((ROOT / "CHANGELOG.md").read_text(), RELEASED_VERSION)
    current = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    assert [change.advice for change in unnamed(changes(build_schema(RELEASED), current), section)] == []


def test_released_schema_is_of_the_current_version() -> None:
    """Whoever raises the version keeps the schema that goes out with it."""
    assert __version__ == RELEASED_VERSION, "make released"


def _edited(old: str, new: str) -> str:
    assert BEFORE.count(old) == 1
    edited = BEFORE.replace(old, new)
    # What is removed is not referred to either.
    return edited if "interface Named" in edited else edited.replace(", named: Named", "")


@pytest.mark.parametrize(("coordinate", "old", "new"), BREAKING, ids=[f"{old}->{new}" for _, old, new in BREAKING])
def test_breaking_change_fails_until_it_is_named(coordinate: str, old: str, new: str) -> None:
    """It has to be named itself, as code, and as what it is."""
    found = changes(build_schema(BEFORE), build_schema(_edited(old, new)))
    assert coordinate in [change.coordinate for change in found]
    every = "".join(f"- `{change.coordinate}` is another.\n" for change in found)
    assert unnamed(found, "## 2\n") == found
    assert unnamed(found, f"## 2\n\n### Added\n\n{every}") == found
    assert unnamed(found, f"## 2\n\n### Breaking\n\n- {coordinate} is another.\n- `{coordinate}s`\n") == found
    for heading in ("Breaking", "Removed"):
        assert (
            unnamed(found, f"## 2\n\n### Added\n\n- More.\n\n### {heading}\n\n{every}\n### Fixed\n\n- It.\n") == []
        )


@pytest.mark.parametrize(("coordinate", "old", "new"), SURPRISING, ids=[new for _, _, new in SURPRISING])
def test_surprising_change_fails_until_it_is_named(coordinate: str, old: str, new: str) -> None:
    """Any heading will do."""
    found = changes(build_schema(BEFORE), build_schema(_edited(old, new)))
    assert [change.coordinate for change in found] == [coordinate]
    assert unnamed(found, "## 2\n\n### Added\n\n- More.\n") == found
    assert unnamed(found, f"## 2\n\n### Added\n\n- `{coordinate}`.\n") == []


@pytest.mark.parametrize(("old", "new"), HARMLESS, ids=[new for _, new in HARMLESS])
def test_addition_needs_no_name(old: str, new: str) -> None:
    """What is optional and what is only answered when asked for bothers nobody."""
    assert changes(build_schema(BEFORE), build_schema(_edited(old, new))) == []


def test_only_what_is_above_the_release_counts() -> None:
    """What an earlier release announced excuses nothing now."""
    above = "## Unreleased\n\n- `A.b`\n\n"
    below = "## [1.2.0] - 2026-01-02\n\n- `C.d`\n\n## 1.1.0\n"
    assert unreleased(f"# Changelog\n\n`Intro.text`\n\n{above}{below}", "1.2.0") == f"\n{above}"
    assert unreleased(f"# Changelog\n\n`Intro.text`\n\n{below}", "1.2.0") == ""
    with pytest.raises(AssertionError, match=r"no section 1\.2$"):
        unreleased(below, "1.2")
