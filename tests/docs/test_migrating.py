"""Moving from the REST calls: no call is left out, and every operation that the document names works."""

import re

import pytest

from tests.docs.blocks import DOCS, read_blocks
from tests.docs.conftest import Read

DOCUMENT = "migrating-from-rest.md"
FORMER_CALLS = """\
GET /health
POST /api/workspaces
GET /api/workspaces
GET /api/workspaces/{ws}
PATCH /api/workspaces/{ws}
DELETE /api/workspaces/{ws}
POST /api/workspaces/{ws}/functions
GET /api/workspaces/{ws}/functions
GET /api/workspaces/{ws}/functions/{fn}
PATCH /api/workspaces/{ws}/functions/{fn}
DELETE /api/workspaces/{ws}/functions/{fn}
POST /api/workspaces/{ws}/functions/{fn}/invoke
GET /api/workspaces/{ws}/logs
GET /api/workspaces/{ws}/functions/{fn}/logs
GET /api/functions/{fn}/loki-logs
GET /api/functions/{fn}/metrics
POST /api/v1/build
POST /api/v1/build-and-push
POST /api/v1/push
POST /api/v1/scaffold
POST /api/v1/deploy
GET /api/v1/tasks/{task}
GET /api/v1/workspaces/{ws}/tasks""".splitlines()
"""All that the former backend served."""


def table() -> dict[str, str]:
    """The table at the top: what took each call's place."""
    rows = re.findall(
        r"^\| `((?:GET|POST|PATCH|DELETE) [^`]+)` \| (.+) \|$", (DOCS / DOCUMENT).read_text(), re.MULTILINE
    )
    return dict(rows)


def test_every_former_call_is_in_the_table() -> None:
    """The table has a row for each call, and none for another."""
    assert list(table()) == FORMER_CALLS


def test_every_operation_of_the_table_has_an_example() -> None:
    """What the table sends a reader to is in an operation of the section it links to."""
    sections: dict[str, str] = {}
    for block in read_blocks(DOCUMENT):
        anchor = block.heading.lower().replace(" ", "-")
        if block.language in {"graphql", "sh"}:
            sections[anchor] = sections.get(anchor, "") + block.text
    missing = []
    for call, row in table().items():
        for named, anchor in re.findall(r"\[`([\w./ ]+)`\]\(#([\w-]+)\)", row):
            word = named.split("/")[-1].split(".")[-1]
            if not re.search(rf"\b{word}\b", sections.get(anchor, "")):
                missing.append((call, named, anchor))
        live = re.findall(r"live: `(\w+)`", row)
        missing += [(call, name, "any") for name in live if not any(name in text for text in sections.values())]
    assert missing == []


async def test_operations_answer_what_the_document_shows(read: Read) -> None:
    """From the first workspace to its deletion, every operation works with the variables shown."""
    reader = await read(DOCUMENT, "graphql")
    assert len(set(reader.places_run)) == sum(block.language == "graphql" for block in read_blocks(DOCUMENT)) > 25


@pytest.mark.ci
async def test_commands_answer_what_the_document_shows(read: Read) -> None:
    """The same walk with the calls that stayed, made by curl."""
    reader = await read(DOCUMENT, "graphql", "sh")
    commands = {block.place for block in read_blocks(DOCUMENT) if block.language == "sh"}
    assert len(commands) == 2
    assert commands <= set(reader.places_run)
