"""examples/typescript as its README says: installed, typed by the schema, compiled, run on a broken network."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.examples.network import Fault, network_to
from tests.nodejs import install_packages
from tests.serving import serving

pytestmark = pytest.mark.ci

ROOT = Path(__file__).parents[2]
STEP_S = 120
RUN_S = 180
"""A build and two lost connections take 20 s; a machine that does other things too takes longer."""
STOP_S = 30
"""Seconds the platform may take to end its processes."""
OUTCOME = """\
deploy:
  1 PENDING
  2 BUILDING
  3 PUSHING
  4 DEPLOYING
  5 DONE
answer: 200 "Hello, Blue!"
log: called: GET /?name=Ada
upload of uploaded:
  1 PENDING
  2 BUILDING
  3 DONE
function: hello ACTIVE
function: spare 1 ACTIVE
function: spare 2 ACTIVE
refused: memory: memory must be 128 to 1024 MB; it is 64.
"""


@pytest.fixture
def gateway_url(tmp_path: Path) -> Iterator[str]:
    """The GraphQL address of `blue-gateway local` on an empty folder, with functions in Python processes."""
    data = str(tmp_path / "data")
    command = [sys.executable, "-m", "gateway", "local", "--runner", "python", "--empty", "--port", "0"]
    announcement = r"(http://127\.0\.0\.1:\d+/graphql)"
    log = tmp_path / "platform.log"
    with serving(
        [*command, "--data-dir", data], log, announcement=announcement, start_s=60, stop_s=STOP_S
    ) as served:
        yield served.url


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example with its packages installed, where it finds the schema as in the checkout."""
    folder = tmp_path / "examples" / "typescript"
    ignored = shutil.ignore_patterns("node_modules", "dist", "gql")
    shutil.copytree(ROOT / "examples" / "typescript", folder, ignore=ignored)
    (tmp_path / "schema").mkdir()
    shutil.copy(ROOT / "schema" / "schema.graphql", tmp_path / "schema")
    install_packages(folder)
    return folder


def npm_run(folder: Path, script: str, **environment: str) -> None:
    """Run a script of package.json; AssertionError with what it printed where it fails."""
    done = subprocess.run(
        ["npm", "run", script],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_S,
        check=False,
    )
    assert done.returncode == 0, f"npm run {script} ended with {done.returncode}:\n{done.stdout}"


def generated(folder: Path) -> dict[str, str]:
    """What codegen made, by file."""
    return {path.name: path.read_text() for path in (folder / "src" / "gql").iterdir()}


async def test_example_on_a_broken_network(example: Path, gateway_url: str) -> None:
    """Both schemas give the same types; a build's states come each once and in order through all faults."""
    npm_run(example, "codegen", SCHEMA=gateway_url.replace("/graphql", "/schema.graphql"))
    from_gateway = generated(example)
    npm_run(example, "check")
    npm_run(example, "build")
    assert generated(example) == from_gateway

    port = urlsplit(gateway_url).port
    assert port is not None
    faults = [(Fault.CUT, 2), (Fault.REFUSED, 0), (Fault.REFUSED, 0), (Fault.SILENT, 1)]
    async with network_to(port, *faults) as network:
        running = await asyncio.create_subprocess_exec(
            *("node", "dist/main.js"),
            cwd=example,
            env=os.environ | {"BLUE_URL": f"{network.url}/graphql"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            printed, errors = await asyncio.wait_for(running.communicate(), RUN_S)
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
    assert running.returncode == 0, errors.decode()
    # Functions are listed by their ids, which are made up.
    lines = printed.decode().splitlines()
    assert lines[:12] + sorted(lines[12:15]) + lines[15:] == OUTCOME.splitlines()
    deploy, upload = network.subscribed[0]["id"], network.subscribed[-1]["id"]
    assert network.faults == []
    assert network.subscribed == [
        {"id": deploy, "after": 0},  # cut after its second result
        {"id": deploy, "after": 2},  # silent after one
        {"id": deploy, "after": 3},
        {"id": upload, "after": 0},
    ]
