"""The platform that the documents speak of, and somebody who reads them there."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import example_ids, read_blocks
from tests.docs.reading import Reader
from tests.docs.shown import Examples
from tests.local.test_platform import Platform
from tests.local.test_walk import NO_PROGRAMS
from tests.nodejs import run_node

CLIENTS = Path(__file__).parent / "clients"
SCRIPT_S = 120
STEP_S = "20"
"""A step of a build: far longer than one takes, and what the example of a loop is waited for."""

Read = Callable[..., Awaitable[Reader]]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of what `make run` starts, with its sample, and functions as Python processes."""
    folder = tmp_path_factory.mktemp("platform")
    started = Platform(
        Path(".blue"),
        "--port",
        "0",
        "--runner",
        "python",
        "--step-timeout-s",
        STEP_S,
        path=NO_PROGRAMS,
        cwd=folder,
    )
    try:
        yield started.await_url()
    finally:
        started.close()


@pytest.fixture
def read(platform: str, tmp_path: Path) -> Read:
    """Read a document, trying the blocks of some languages: `await read("clients.md", "sh", "graphql")`.

    `known` has the ids that no answer of the document shows.
    """

    def run_script(folder: Path) -> str:
        # What goes on behind the last event it saw has to, and so loses its connection twice.
        cuts = "2" if "variables.after =" in (folder / "example.js").read_text() else "0"
        return run_node(CLIENTS / "run.mjs", str(folder), timeout_s=SCRIPT_S, environment={"CUTS": cuts})

    async def read_document(name: str, *languages: str, known: dict[str, str] | None = None) -> Reader:
        examples = Examples(example_ids(name))
        for id_, value in (known or {}).items():
            examples.bind(id_, value)
        reader = Reader(platform, examples, tmp_path, languages=languages, run_script=run_script)
        await reader.read(read_blocks(name))
        return reader

    return read_document
