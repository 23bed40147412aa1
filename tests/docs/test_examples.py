"""What holds for all guides: each operation is valid, and each block is one that is run."""

from graphql import build_schema, parse, validate

from gateway.app import schema_text
from tests.docs.blocks import Block, read_blocks

GUIDES = ["clients.md", "functions.md", "migrating-from-rest.md"]
RUN = {"graphql", "sh", "js"}
"""Languages that are run; their outputs are JSON and text, and files are what a note says."""
FILES = {"python", "toml"}


def blocks() -> list[Block]:
    """Those of all guides."""
    return [block for name in GUIDES for block in read_blocks(name)]


def test_operations_are_valid() -> None:
    """Every operation is one of the schema as it is now."""
    schema = build_schema(schema_text())
    operations = [block for block in blocks() if block.language == "graphql"]
    assert len(operations) > 30
    faults = {
        block.place: [error.message for error in validate(schema, parse(block.text))] for block in operations
    }
    assert {place: messages for place, messages in faults.items() if messages} == {}


def test_nothing_is_left_out() -> None:
    """A block is of a language that is run, or a file or function by its note."""
    left_out = [
        block.place
        for block in blocks()
        if block.language not in RUN | {"json", "text"}
        and not (block.language in FILES and block.notes.keys() & {"file", "deploy", "fails"})
    ]
    assert left_out == []
