"""The tables of docs/reference.md and the README are those of the code, and nothing is missing from them."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import errors
from gateway.settings import Settings
from schema import errors as schema_errors
from tests.docs.limits import LIMITS, reason_of
from tests.docs.tables import README, REFERENCE, ROOT, STATUSES, TABLES, TABLES_OF_README, filled, kinds

CODE = re.compile(r"[A-Z]{3,}(_[A-Z]+)*")
SOURCES = [
    path
    for folder in ("gateway", "schema")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not path.is_relative_to(ROOT / "gateway" / "local")
]


@pytest.mark.parametrize(("page", "tables"), [(REFERENCE, TABLES), (README, TABLES_OF_README)])
def test_tables_are_current(page: Path, tables: dict[str, Callable[[], str]]) -> None:
    """As `python -m tests.docs` writes them."""
    text = page.read_text()
    assert [name for name in tables if f"<!-- {name} -->" not in text] == []
    assert text == filled(text, tables), "run .venv/bin/python -m tests.docs"


def test_every_setting_is_listed() -> None:
    """By the name that the environment has."""
    named = re.findall(r"^\| `([A-Z0-9_]+)` \|", TABLES["settings"](), re.MULTILINE)
    assert named == [name.upper() for name in Settings.model_fields]


def test_every_code_is_listed_once() -> None:
    """Those of the exceptions, of the GraphQL layer, and what the sources give as a code."""
    listed = re.findall(r"^\| `([A-Z0-9_]+)` \|", TABLES["errors"](), re.MULTILINE)
    assert len(set(listed)) == len(listed)
    raised = {kind.code for kind in kinds(errors.GatewayError)}
    of_graphql = {value for name, value in vars(schema_errors).items() if name == value}
    assert set(listed) == raised | of_graphql | {code for path in SOURCES for code in codes_in(path)}


def test_statuses_of_refusals_are_listed() -> None:
    """Each status that the endpoint refuses a request with."""
    used = {str(status) for path in SOURCES for status in statuses_in(path)}
    assert ", ".join(sorted(used)) == STATUSES["BAD_REQUEST"]


def test_bounds_of_operations_are_listed() -> None:
    """Every limit of schema/limits.py and of pages; each has its reason there."""
    listed = {limit.place for limit in LIMITS}
    for module in ("schema.limits", "schema.pagination"):
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        names = {target.id for node in tree.body if isinstance(node, ast.Assign) for target in names_of(node)}
        bounds = {f"{module}.{name}" for name in names if name.startswith("MAX_") and "CURSOR" not in name}
        assert bounds <= listed
    assert all(reason_of(limit) for limit in LIMITS if limit.place.startswith("schema."))


def statuses_in(path: Path) -> Iterator[object]:
    """What a source refuses requests with."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="RequestError"), args=[ast.Constant(value=status), *_]):
                yield status


def codes_in(path: Path) -> Iterator[str]:
    """What a source gives as a code by itself: to what refuses requests, or as a constant of that name."""
    tree = ast.parse(path.read_text())
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            yield from (target.id for target in names_of(statement) if target.id == statement.value.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in {"refuse", "_refuse", "_error"}:
                values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                yield from (value for value in values if isinstance(value, str) and CODE.fullmatch(value))


def names_of(node: ast.Assign) -> Iterator[ast.Name]:
    """The plain names that are assigned to."""
    return (target for target in node.targets if isinstance(target, ast.Name))
