"""What the TypeScript example asks for is valid; known here without Node, which test_typescript.py needs."""

import re
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

ROOT = Path(__file__).parents[2]
SCHEMA = build_schema((ROOT / "schema" / "schema.graphql").read_text())
OPERATIONS = (ROOT / "examples" / "typescript" / "src" / "operations.ts").read_text()
DOCUMENTS = dict(re.findall(r"export const (\w+) = graphql\(`(.*?)`\);", OPERATIONS, re.DOTALL))


def test_documents_are_found() -> None:
    """None is written in a way that is not seen here."""
    assert len(DOCUMENTS) == OPERATIONS.count("export const") == 8


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_is_valid_against_the_schema(name: str) -> None:
    """Each is one operation of its constant's name that the schema accepts."""
    document = parse(DOCUMENTS[name])
    assert validate(SCHEMA, document) == []
    assert [definition.to_dict()["name"]["value"] for definition in document.definitions] == [name]
