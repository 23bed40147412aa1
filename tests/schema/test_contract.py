"""The published schema holds the whole contract (contract.graphql), and is documented throughout.

What the contract does not have is held to the last release, see test_changes.py.
"""

from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema

from gateway.app import schema_text
from tests.schema.changes import changes

CONTRACT = build_schema((Path(__file__).parent / "contract.graphql").read_text())
COMMITTED = (Path(__file__).parents[2] / "schema" / "schema.graphql").read_text()
PUBLISHED = build_schema(COMMITTED)
BUILT_IN = {"Boolean", "Float", "ID", "Int", "String"}


def members(schema: GraphQLSchema) -> list[tuple[str, Any]]:
    """Every type, field, argument and enum value, by its path."""
    found: list[tuple[str, Any]] = []
    for name, type_ in schema.type_map.items():
        if name.startswith("__") or name in BUILT_IN:
            continue
        found.append((name, type_))
        found += [(f"{name}.{value}", definition) for value, definition in getattr(type_, "values", {}).items()]
        for field, definition in getattr(type_, "fields", {}).items():
            found.append((f"{name}.{field}", definition))
            arguments = getattr(definition, "args", {})
            found += [(f"{name}.{field}.{argument}", each) for argument, each in arguments.items()]
    return found


def test_committed_sdl_is_current() -> None:
    """schema/schema.graphql is what the code prints."""
    assert schema_text() == COMMITTED


def test_contract_is_not_broken() -> None:
    """Nothing of the contract was removed, renamed or changed in its type."""
    assert [change.description for change in changes(CONTRACT, PUBLISHED) if change.breaks] == []


@pytest.mark.parametrize(("path", "expected"), members(CONTRACT), ids=[path for path, _ in members(CONTRACT)])
def test_member_of_the_contract(path: str, expected: Any) -> None:
    """Each member has the contract's type, nullability and default."""
    found = dict(members(PUBLISHED))[path]
    assert str(getattr(found, "type", None)) == str(getattr(expected, "type", None))
    # By their text: graphql-core takes null and no default for equal.
    assert repr(getattr(found, "default_value", None)) == repr(getattr(expected, "default_value", None))


@pytest.mark.parametrize(("path", "member"), members(PUBLISHED), ids=[path for path, _ in members(PUBLISHED)])
def test_member_is_described(path: str, member: Any) -> None:
    """Every type, field and argument has a description; values of enums are described by their type."""
    if path.count(".") == 1 and not hasattr(member, "type"):
        return
    assert member.description, path
