"""The image's command and health check, run as a container would."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.image.image import Image
from tests.serving import serving

pytestmark = pytest.mark.ci

READY_WITHIN_S = 30
START_BUILD = """mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id } } }"""
CREATE_WORKSPACE = """mutation { createWorkspace(input: {name: "Shop"}) { workspace { id } } }"""


async def test_image_serves_when_nothing_can_be_written(
    image: Image, settings: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It gets ready and healthy, takes uploads of more than memory is for, and ends with 0 on SIGTERM."""
    before, began = image.files(), time.monotonic()
    with serving(image.command(image.words, settings), tmp_path / "log") as served:
        async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=30) as client:
            await becomes_ready(client)
            with capsys.disabled():
                print(f"\nimage: ready after {time.monotonic() - began:.1f} s")  # noqa: T201  # a figure to look at
            assert await upload(client) == "BUILDER_CONNECTION_ERROR"  # the source was stored
        check = health_check(image)
        checked = image.run(*check, PORT=served.url.rpartition(":")[2])
        assert (checked.returncode, checked.stderr) == (0, "")
        served.process.terminate()
        assert served.process.wait(timeout=30) == 0
        assert image.run(*check, PORT=served.url.rpartition(":")[2]).returncode != 0
    assert image.files() == before
    assert "Traceback" not in (tmp_path / "log").read_text()


async def becomes_ready(client: httpx.AsyncClient) -> None:
    """Wait until it takes requests."""
    deadline = time.monotonic() + READY_WITHIN_S
    while (answer := await client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text


async def upload(client: httpx.AsyncClient) -> str:
    """Upload a source that the form's parser keeps in a file; the code of the error that is answered."""
    created = (await client.post("/graphql", json={"query": CREATE_WORKSPACE})).json()
    given: dict[str, Any] = {"workspaceId": created["data"]["createWorkspace"]["workspace"]["id"], "file": None}
    form = {
        "operations": json.dumps({"query": START_BUILD, "variables": {"input": given}}),
        "map": json.dumps({"0": ["variables.input.file"]}),
    }
    files = {"0": ("app.py", b"# a long comment\n" * 200_000)}
    headers = {"graphql-require-preflight": "1"}
    answer = (await client.post("/graphql", data=form, files=files, headers=headers)).json()
    code: str = answer["errors"][0]["extensions"]["code"]
    return code


def health_check(image: Image) -> list[str]:
    """The words of HEALTHCHECK's command."""
    words: list[str] = json.loads(re.sub(r"^.*? CMD ", "", image.final.one("HEALTHCHECK").text))
    return words
