"""The Builder Service's client: what goes out, and what its answers and faults become."""

import asyncio
import io
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.errors import BuilderBusyError, BuilderConnectionError, BuilderError
from gateway.local.processes import listen, url_of
from gateway.records.builder import DeployRequest
from gateway.records.builds import BuildStatus
from gateway.telemetry import UpstreamCall, recording_calls
from gateway.upstream.builder import Builder
from gateway.upstream.http import open_http_client
from tests.builds.script import ScriptedBuilder, scripted_builder

WORKSPACE = "ws-1a2b3c4d"


@pytest.fixture
async def script() -> AsyncIterator[ScriptedBuilder]:
    """A Builder Service that says what it is told to."""
    async with scripted_builder() as script:
        yield script


@pytest.fixture
async def builder(script: ScriptedBuilder) -> AsyncIterator[Builder]:
    """The client of it."""
    async with open_http_client("builder", script.url) as client:
        yield Builder(client)


async def test_start_build_when_it_is_accepted(builder: Builder, script: ScriptedBuilder) -> None:
    """The file goes out whole from its beginning, wherever it was read to, and the call is counted."""
    file = io.BytesIO(b"x = 1\n")
    file.read()
    with recording_calls() as calls:
        accepted = await builder.start_build(WORKSPACE, "app.py", file, app_name=None)
    assert (accepted.task_id, accepted.source_path) == ("task-1", "s3://b/source.zip")
    assert script.forms == [{"workspace_id": WORKSPACE, "file": ("app.py", b"x = 1\n")}]
    assert calls == [UpstreamCall("builder", "POST /api/v1/build")]


async def test_start_push_when_a_source_is_named(builder: Builder, script: ScriptedBuilder) -> None:
    """The directory that it insists on does not exist, so that it takes the source from S3."""
    script.deploys.append(script.upload)
    await builder.start_push(WORKSPACE, "s3://b/k", registry_url="r.example/f", tag="v1")
    assert script.bodies == [
        {
            "workspace_id": WORKSPACE,
            "s3_source_path": "s3://b/k",
            "app_dir": "/nonexistent",
            "registry_url": "r.example/f",
            "tag": "v1",
            "username": "",
            "password": "",
        }
    ]


async def test_scaffold_when_it_fails(builder: Builder, script: ScriptedBuilder) -> None:
    """That there is no manifest is an answer."""
    script.deploys.append((200, {"success": False, "yaml_content": None, "file_path": None, "error": "no image"}))
    result = await builder.scaffold("r.example/f:1", component=None, replicas=2, output_path=None)
    assert (result.success, result.error) == (False, "no image")
    assert script.bodies == [{"image_ref": "r.example/f:1", "replicas": 2}]


async def test_deploy_when_the_service_is_not_found_yet(builder: Builder, script: ScriptedBuilder) -> None:
    """What was not given does not go out; the answered name comes back, without an endpoint."""
    script.deployed(app_name="myapp", endpoint=None)
    result = await builder.deploy(DeployRequest(namespace="default", image_ref="r.example/f:1", app_name="My App"))
    assert (result.app_name, result.service_status, result.endpoint) == ("myapp", "not_found", None)
    assert "cpu_limit" not in script.bodies[0]


@pytest.mark.parametrize(
    ("answer", "status", "image"),
    [
        ({"status": "running"}, BuildStatus.BUILDING, None),
        ({"status": "COMPLETED", "result": {"image_uri": "r/f:1"}}, BuildStatus.DONE, "r/f:1"),
        ({"status": "building", "result": None}, BuildStatus.BUILDING, None),
        ({"status": "Pushing", "result": {"wasm_path": "s3://w"}}, BuildStatus.PUSHING, None),
        ({"status": "done", "result": {"image_url": "r" * 2049}}, BuildStatus.DONE, None),
        ({"status": "done", "result": {"image_url": "r/f:2"}}, BuildStatus.DONE, "r/f:2"),
        ({"status": "failed", "result": {"image_url": None}, "error": "no"}, BuildStatus.FAILED, None),
    ],
)
async def test_get_task_when_either_dialect_answers(
    builder: Builder, script: ScriptedBuilder, answer: dict[str, object], status: BuildStatus, image: str | None
) -> None:
    """Both spellings mean the same; the workspace is always named."""
    script.tasks.append((200, {"task_id": "task-1"} | answer))
    task = await builder.get_task(WORKSPACE, "task-1")
    assert task is not None
    assert (task.status, task.image_url) == (status, image)
    assert script.calls == [f"GET /api/v1/tasks/task-1?workspace_id={WORKSPACE}"]


async def test_get_task_when_it_is_unknown(builder: Builder, script: ScriptedBuilder) -> None:
    """None: another way may find it."""
    script.tasks.append((404, {"detail": "Task not found: task-1"}))
    assert await builder.get_task(WORKSPACE, "task-1") is None


async def test_list_tasks_when_some_make_no_sense(builder: Builder, script: ScriptedBuilder) -> None:
    """Rows of others with words of their own do not hide the rest."""
    tasks = [{"task_id": "a", "status": "???"}, {"task_id": "b", "status": "DONE"}]
    script.listed = (200, {"workspace_id": WORKSPACE, "tasks": tasks, "count": 2})
    assert [task.task_id for task in await builder.list_tasks(WORKSPACE)] == ["b"]


@pytest.mark.parametrize(
    ("answer", "message", "retryable"),
    [
        (
            (
                422,
                {"detail": [{"loc": ["body", "tag"], "msg": "Field required", "type": "missing"}, {"msg": "Odd"}]},
            ),
            "The Builder Service answered 422: tag: Field required; Odd",
            False,
        ),
        (
            (400, {"detail": "Namespace 'x' not found"}),
            "The Builder Service answered 400: Namespace 'x' not found",
            False,
        ),
        ((500, "Internal Server Error"), "The Builder Service answered 500: Internal Server Error", False),
        ((503, ""), "The Builder Service answered 503: Service Unavailable", True),
        ((429, ["odd"]), 'The Builder Service answered 429: ["odd"]', True),
        (
            (202, '{"task_id": "tas'),
            "The Builder Service answered POST /api/v1/build with what is not JSON.",
            True,
        ),
        ((202, ["odd"]), "The Builder Service answered POST /api/v1/build with no object.", True),
        ((202, {"status": "pending"}), "The Builder Service accepted the build without naming its task.", True),
        (
            (
                422,
                {"detail": [{"loc": None, "msg": "Odd"}, {"loc": 7}, {"loc": ["body", ["a"], 1], "msg": None}, 5]},
            ),
            "The Builder Service answered 422: Odd; None; ['a'].1: None; 5",
            False,
        ),
        ((422, {"detail": None}), "The Builder Service answered 422: Unprocessable Entity", False),
    ],
)
async def test_start_build_when_it_is_refused(
    builder: Builder, script: ScriptedBuilder, answer: tuple[int, object], message: str, retryable: bool
) -> None:
    """Every form of its errors becomes words."""
    script.upload = answer
    with pytest.raises(BuilderError) as caught:
        await builder.start_build(WORKSPACE, "app.py", io.BytesIO(b""), app_name=None)
    assert (caught.value.message, caught.value.retryable) == (message, retryable)
    assert caught.value.code == "BUILDER_ERROR"


@pytest.mark.parametrize(("status", "busy"), [(429, True), (503, True), (502, False), (504, False), (500, False)])
async def test_start_build_when_the_builder_is_busy(
    builder: Builder, script: ScriptedBuilder, status: int, busy: bool
) -> None:
    """Where it takes nothing now, it is known that it has accepted nothing."""
    script.upload = (status, "")
    with pytest.raises(BuilderError) as caught:
        await builder.start_build(WORKSPACE, "app.py", io.BytesIO(b""), app_name=None)
    assert isinstance(caught.value, BuilderBusyError) is busy


async def test_start_push_when_nothing_listens() -> None:
    """Nothing was sent, and nothing has to be known."""
    noted = []

    async def before_end() -> None:
        noted.append("sent")

    with listen() as listener:
        url = url_of(listener)
    async with open_http_client("builder", url) as client:
        with pytest.raises(BuilderConnectionError):
            await Builder(client).start_push(
                WORKSPACE, "s3://b/k", registry_url="r.example/f", tag="v1", before_end=before_end
            )
    assert noted == []


GARBAGE = {
    "no gzip": b"HTTP/1.1 202 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
    "no HTTP": b"<html>Bad gateway</html>\r\n\r\n",
    "an odd charset": b"HTTP/1.1 500 No\r\ncontent-type: text/plain; charset=hex\r\ncontent-length: 1\r\n\r\n\xff",
    "a redirect": b"HTTP/1.1 307 Go\r\nlocation: http://[\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", GARBAGE)
async def test_deploy_when_garbage_is_answered(answer: str) -> None:
    """Whatever it is, it becomes an error of the builder's."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(GARBAGE[answer])
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with open_http_client("builder", f"http://{host}:{port}") as client:
            with pytest.raises(BuilderError):
                await Builder(client).deploy(DeployRequest(namespace="default", image_ref="r.example/f:1"))


async def test_calls_when_the_builder_is_slow() -> None:
    """Each is waited for as long as a builder that deploys, or stores what it gets, may take for it."""
    waits: dict[str, float] = {}

    class Answers(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            waits[request.url.path.rsplit("/", 1)[-1]] = request.extensions["timeout"]["read"]
            return httpx.Response(200, json={"task_id": "task-1", "status": "running", "tasks": []})

    async with open_http_client("builder", "http://builder", transport=Answers()) as client:
        builder = Builder(client)
        await builder.start_build(WORKSPACE, "app.py", io.BytesIO(b""), app_name=None)
        await builder.start_push(WORKSPACE, "s3://b/k", registry_url="r.example/f", tag="v1")
        await builder.deploy(DeployRequest(namespace="default", image_ref="r.example/f:1"))
        await builder.get_task(WORKSPACE, "task-1")
        await builder.list_tasks(WORKSPACE)
        await builder.check()
    assert waits == {"build": 60, "push": 60, "deploy": 120, "task-1": 35, "tasks": 35, "health": 10}


async def test_check_when_nothing_listens() -> None:
    """BUILDER_CONNECTION_ERROR, which may be tried again."""
    with listen() as listener:
        url = url_of(listener)
    async with open_http_client("builder", url) as client:
        with pytest.raises(BuilderConnectionError) as caught:
            await Builder(client).check()
    assert caught.value.retryable
    assert caught.value.message.startswith("The Builder Service did not answer GET /health: ")


async def test_get_task_when_no_answer_comes() -> None:
    """A connection that is cut or silent is no answer."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with open_http_client("builder", f"http://{host}:{port}") as client:
            with pytest.raises(BuilderConnectionError):
                await Builder(client).get_task(WORKSPACE, "task-1")


async def test_start_build_when_the_file_is_large(script: ScriptedBuilder) -> None:
    """It is read in parts, with its length known beforehand: never all of it at once."""
    largest = 0

    class CountingFile(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal largest
            part = super().read(size)
            largest = max(largest, len(part))
            return part

    content = b"x" * 3_000_000
    async with open_http_client("builder", script.url) as client:
        await Builder(client).start_build(WORKSPACE, "app.zip", CountingFile(content), app_name=None)
    assert script.forms[0]["file"] == ("app.zip", content)
    assert largest <= 65_536
