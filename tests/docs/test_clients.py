"""The guide for clients: its commands and its programs do what it shows, with the packages that frontends use."""

import pytest

from tests.docs.blocks import read_blocks
from tests.docs.conftest import Read

pytestmark = pytest.mark.ci

DOCUMENT = "clients.md"


async def test_examples_do_what_the_guide_shows(read: Read) -> None:
    """curl, graphql-ws (cut off twice), graphql-sse, Apollo, urql, Relay and fetch get what is shown."""
    reader = await read(DOCUMENT, "graphql", "sh", "js")
    run = [block for block in read_blocks(DOCUMENT) if block.language in {"graphql", "sh", "js"}]
    assert sorted(reader.places_run) == sorted(block.place for block in run)
    packages = {"graphql-ws", "graphql-sse", "@apollo/client", "@urql/core", "relay-runtime"}
    assert [name for name in packages if not any(f"from '{name}" in block.text for block in run)] == []
