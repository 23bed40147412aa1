"""The format of functions: the good examples are deployed and called, the bad ones fail with the words shown."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builds.test_uploads import LINK, marked, packed, with_unicode_path, without_manifest
from tests.docs.blocks import DOCS, read_blocks
from tests.docs.conftest import Read
from tests.local.test_platform import Platform
from tests.local.test_walk import NO_PROGRAMS
from tests.local.walk import GREETER, Walker, eventually

DOCUMENT = "functions.md"
START = """mutation ($input: StartBuildAndPushInput!) {
  startBuildAndPush(input: $input) { build { id } }
}"""
BUILD = "query ($id: ID!) { build(id: $id) { isFinished status error imageUrl } }"
DEPLOY_IMAGE = """mutation ($input: DeploySpinAppInput!) {
  deploySpinApp(input: $input) { deployment { serviceStatus } }
}"""
SAMPLE = "{ workspaces(first: 1) { nodes { id } } }"
OUTSIDE = "https://api.example.com"
"""Whom the example of a zip calls."""


def unreadable() -> bytes:
    """A file that is called a zip."""
    return b"no zip at all"


def a_folder() -> bytes:
    """A zip of the folder, and not of what is in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("rates/spin.toml", "")
    return content.getvalue()


def a_bomb() -> bytes:
    """A zip of zeros."""
    return packed(("zeros.bin", bytes(20_000_000)))


REFUSED: list[tuple[Callable[[], bytes], str]] = [
    (bytes, "rates.zip"),
    (bytes, "rates.txt"),
    (without_manifest, "rates.zip"),
    (a_folder, "rates.zip"),
    (lambda: marked(packed(("app.py", b"")), 0x1), "rates.zip"),
    (lambda: packed(("app.py", b""), external_attr=LINK), "rates.zip"),
    (lambda: packed(("../app.py", b"")), "rates.zip"),
    (lambda: packed(("/app.py", b"")), "rates.zip"),
    (lambda: packed(("app/a.py", b""), ("app", b"")), "rates.zip"),
    (lambda: with_unicode_path("app.py", b"main.py"), "rates.zip"),
    (lambda: packed(("app.py", b""), compress_type=zipfile.ZIP_BZIP2), "rates.zip"),
    (a_bomb, "rates.zip"),
    (unreadable, "rates.zip"),
]


async def upload(url: str, content: bytes, filename: str, workspace_id: str) -> Any:
    """The answer to an upload."""
    variables = {"input": {"workspaceId": workspace_id, "file": None}}
    operations = httpx.Request("POST", url, json={"query": START, "variables": variables}).content.decode()
    fields = {"operations": operations, "map": '{"0": ["variables.input.file"]}'}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        response = await client.post(
            f"{url}/graphql",
            data=fields,
            files={"0": (filename, content)},
            headers={"graphql-require-preflight": "1"},
        )
    return response.json()


async def sample_workspace(url: str) -> str:
    """The id of the sample's workspace."""
    found = await Walker(url).data(SAMPLE)
    id_: str = found["workspaces"]["nodes"][0]["id"]
    return id_


async def test_functions_build_or_fail_as_the_document_says(read: Read, platform: str) -> None:
    """Each good example is deployed; each bad one fails with the words below it."""
    reader = await read(DOCUMENT, "python", known={"ws-1a2b3c4d": await sample_workspace(platform)})
    examples = [block for block in read_blocks(DOCUMENT) if block.notes.keys() & {"deploy", "fails"}]
    assert reader.places_run == [block.place for block in examples]
    assert len(examples) == 11


@pytest.mark.ci
async def test_calls_answer_what_the_document_shows(read: Read, platform: str) -> None:
    """The good examples answer curl as shown, the zip is built, and the traceback is in the logs."""
    known = {"ws-1a2b3c4d": await sample_workspace(platform)}
    reader = await read(DOCUMENT, "python", "graphql", "sh", known=known)
    commands = {block.place for block in read_blocks(DOCUMENT) if block.language in {"graphql", "sh"}}
    assert commands <= set(reader.places_run)


async def test_refused_uploads_are_in_the_document(platform: str) -> None:
    """Each message of an upload that is refused is a row of the document, and each row is such a message."""
    workspace_id = await sample_workspace(platform)
    messages = set()
    for make, filename in REFUSED:
        (error,) = (await upload(platform, make(), filename, workspace_id))["errors"]
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "file")
        messages.add(error["message"])
    section = (DOCS / DOCUMENT).read_text().partition("## When the upload is refused")[2].partition("\n## ")[0]
    assert messages == {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}


@pytest.fixture
def rates() -> Iterator[str]:
    """A service that a function may call."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with a rate."""
            self.send_response(200)
            self.send_header("content-length", "10")
            self.end_headers()
            self.wfile.write(b'{"USD": 1}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.ci
async def test_zip_of_the_document_calls_others_as_webassembly(rates: str, tmp_path: Path) -> None:
    """The zip with its manifest, deployed as a component, reaches the host that it may call."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for block in read_blocks(DOCUMENT):
            if "file" in block.notes:
                archive.writestr(block.notes["file"], block.text.replace(OUTSIDE, rates))
    arguments = ("--port", "0", "--empty", "--step-timeout-s", "300")
    platform = Platform(Path(".blue"), *arguments, path=NO_PROGRAMS, cwd=tmp_path)
    try:
        walker = Walker(platform.await_url())
        function_id = await walker.create_function(GREETER)
        workspace_id = await sample_workspace(walker.url)
        started = await upload(walker.url, content.getvalue(), "rates.zip", workspace_id)
        build_id = started["data"]["startBuildAndPush"]["build"]["id"]

        async def build() -> Any:
            return (await walker.data(BUILD, id=build_id))["build"]

        built = await eventually(build, lambda build: build["isFinished"], within_s=600)
        assert (built["status"], built["error"]) == ("DONE", None)
        await walker.data(DEPLOY_IMAGE, input={"functionId": function_id, "imageRef": built["imageUrl"]})

        async def answered() -> Any:
            answer = await walker.answer(
                "query ($id: ID!) { function(id: $id) { invocationUrl } }", id=function_id
            )
            return answer["data"]["function"]["invocationUrl"]

        await eventually(answered, lambda url: url is not None, within_s=120)
        log = await walker.invoke(function_id)
        assert (log["statusCode"], log["responseBody"]) == (200, {"USD": 1})
    finally:
        platform.close()
