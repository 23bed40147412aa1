"""Starting builds of what was uploaded."""

import asyncio

import pytest

from gateway.errors import (
    BuilderConnectionError,
    BuilderError,
    GatewayError,
    InvalidInputError,
    NotFoundError,
    PayloadTooLargeError,
)
from gateway.records.builds import BuildKind, BuildStatus
from tests.builds.samples import SOURCE, a_zip, an_upload, eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.gateway import NOBODY

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def stored_builds(stage: Stage) -> list[str]:
    """The statuses of the workspace's builds, newest first."""
    page = await stage.dynamo.builds.list_of_workspace(stage.workspace_id, first=10, after=None)
    return [build.status.name for build in page.items]


async def test_start_build_when_all_is_well(stage: Stage, script: ScriptedBuilder) -> None:
    """The source is in S3 and with the builder, the build is stored with the builder's task, and carried."""
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload("My-App.py"))
    assert (build.kind, build.status, build.sequence) == (BuildKind.BUILD, BuildStatus.PENDING, 1)
    assert (build.app_name, build.builder_task_id) == ("MyApp", "task-1")
    key = f"build-sources/{stage.workspace_id}/{build.id}/My-App.py"
    assert build.source_path == f"s3://{stage.sources.name}/{key}"
    assert await stage.read_object(key) == SOURCE
    assert script.calls == ["POST /api/v1/build"]
    assert script.forms == [{"workspace_id": stage.workspace_id, "file": ("My-App.py", SOURCE)}]
    assert stage.poller.carried == 1


async def test_start_build_and_push_when_nothing_is_chosen(stage: Stage, script: ScriptedBuilder) -> None:
    """The tag is the build's own, and empty credentials make the builder use its role."""
    build = await stage.starts.start_build_and_push(workspace_id=stage.workspace_id, upload=an_upload())
    assert script.forms[0]["tag"] == f"task-{build.id}"
    assert (script.forms[0]["username"], script.forms[0]["password"]) == ("", "")
    assert "registry_url" not in script.forms[0]


async def test_start_build_and_push_when_all_is_chosen(stage: Stage, script: ScriptedBuilder) -> None:
    """It goes to the builder as it is; the credentials are stored nowhere."""
    function = await stage.create_function()
    build = await stage.starts.start_build_and_push(
        workspace_id=stage.workspace_id,
        upload=an_upload(),
        function_id=function.id,
        app_name="shop",
        registry_url="r.example:5000/team/app",
        username="AWS",
        password="s3cret-token",
        tag="v1",
    )
    form = script.forms[0]
    assert (form["app_name"], form["registry_url"], form["tag"]) == ("shop", "r.example:5000/team/app", "v1")
    assert (form["username"], form["password"]) == ("AWS", "s3cret-token")
    assert build.expected_image == "r.example:5000/team/app:v1"
    stored = [item async for item in stage.dynamo.table.query_all(stage.everything)]
    assert "s3cret" not in repr(stored)
    after = await stage.function(function.id)
    assert (after.latest_build_id, after.active_build_id) == (build.id, None)
    page = await stage.dynamo.builds.list_of_function(function.id, first=5, after=None)
    assert [item.id for item in page.items] == [build.id]


async def test_start_build_when_the_builder_refuses(stage: Stage, script: ScriptedBuilder) -> None:
    """What it says is raised, and the build is FAILED with the same words."""
    script.upload = (400, {"detail": "No file provided"})
    with pytest.raises(BuilderError, match="The Builder Service answered 400: No file provided"):
        await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    assert await stored_builds(stage) == ["FAILED"]
    assert stage.poller.carried == 0


async def test_start_build_when_the_builder_is_down(stage: Stage) -> None:
    """BUILDER_CONNECTION_ERROR, and a FAILED build."""
    stage.client.base_url = NOBODY
    with pytest.raises(BuilderConnectionError):
        await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    assert await stored_builds(stage) == ["FAILED"]


async def test_start_build_when_the_caller_hangs_up(stage: Stage, script: ScriptedBuilder) -> None:
    """Nobody would carry on a build that has no task: it is FAILED, not left behind."""
    script.released = asyncio.Event()
    starting = asyncio.create_task(stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload()))

    async def called() -> bool:
        return bool(script.calls)

    await eventually(called)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    script.released.set()
    assert await stored_builds(stage) == ["FAILED"]


async def test_start_build_when_the_row_cannot_be_told(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder has the build: it goes on, and the row learns of the task as soon as it can be written."""
    with stage.unwritable_builds():
        build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
        await stage.round()
    assert (await stage.build(build.id)).builder_task_id is None
    script.says("completed")
    await stage.rounds(3, seconds=60)
    done = await stage.build(build.id)
    assert (done.builder_task_id, done.status) == ("task-1", BuildStatus.DONE)
    assert len(script.forms) == 1


async def test_start_build_when_the_row_cannot_be_told_of_a_refusal(stage: Stage, script: ScriptedBuilder) -> None:
    """The caller knows that it failed: it ends with the same words as soon as it can, and is not sent again."""
    script.upload = (400, {"detail": "No file provided"})
    with stage.unwritable_builds(), pytest.raises(BuilderError):
        await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload())
    (build,) = await stage.dynamo.builds.list_unfinished()
    await stage.rounds(1)
    ended = await stage.build(build.id)
    assert ended.status is BuildStatus.FAILED
    assert ended.error == "The Builder Service answered 400: No file provided"
    assert len(script.forms) == 1


async def test_start_build_when_what_it_is_for_is_missing(stage: Stage, script: ScriptedBuilder) -> None:
    """NOT_FOUND names the field, and nothing is stored, in S3 neither."""
    function = await stage.create_function()
    wrong = [
        ("workspaceId", {"workspace_id": "ws-none0000"}),
        ("functionId", {"workspace_id": stage.workspace_id, "function_id": "fn-none0000"}),
        ("functionId", {"workspace_id": "ws-none0000", "function_id": function.id}),
    ]
    for field, ids in wrong:
        with pytest.raises(NotFoundError) as caught:
            await stage.starts.start_build(upload=an_upload(), **ids)
        assert caught.value.field == field
    assert await stored_builds(stage) == []
    assert await stage.keys("build-sources/ws-none0000/") == []
    assert script.calls == []


async def test_start_build_when_the_file_is_too_large(stage: Stage) -> None:
    """PAYLOAD_TOO_LARGE, one byte above the setting."""
    upload = an_upload(content=b"#" * 1001)
    with pytest.raises(PayloadTooLargeError) as caught:
        await stage.starts.start_build(workspace_id=stage.workspace_id, upload=upload)
    assert caught.value.field == "file"
    assert caught.value.message == "file must have at most 1000 bytes; it has 1001."


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("workspaceId", {"workspace_id": "../../other"}),
        ("functionId", {"function_id": "fn-1/../2"}),
        ("appName", {"app_name": "1st"}),
        ("appName", {"app_name": "a" * 64}),
        ("tag", {"tag": "a b"}),
        ("registryUrl", {"registry_url": "https://r.example/app"}),
        ("password", {"username": "AWS"}),
        ("username", {"password": "x"}),
        ("password", {"username": "AWS", "password": "a\nb"}),
    ],
)
async def test_start_build_and_push_when_the_input_is_wrong(
    stage: Stage, script: ScriptedBuilder, field: str, changes: dict[str, str]
) -> None:
    """VALIDATION_ERROR names the field, and nothing leaves."""
    given = {"workspace_id": stage.workspace_id} | changes
    with pytest.raises(InvalidInputError) as caught:
        await stage.starts.start_build_and_push(upload=an_upload(), **given)
    assert caught.value.field == field
    assert script.calls == []


@pytest.mark.parametrize("filename", ["app.txt", "app", "", ".py", "---.zip", None])
async def test_start_build_when_the_file_is_no_source(stage: Stage, filename: str | None) -> None:
    """The builder would say so only after the build."""
    with pytest.raises(GatewayError) as caught:
        await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload(filename))
    assert caught.value.field == "file"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("../../etc/app.py", "app.py"),
        ("C:\\me\\app.ZIP", "app.zip"),
        ("a b%2f한.py", "a_b_2f_.py"),
        ("App.PY", "App.py"),
    ],
)
async def test_start_build_when_the_filename_is_odd(
    stage: Stage, script: ScriptedBuilder, sent: str, stored: str
) -> None:
    """Only its last part is kept, of harmless characters, with the suffix as the builder takes it."""
    content = a_zip() if stored.endswith(".zip") else SOURCE
    build = await stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload(sent, content))
    assert script.forms[0]["file"][0] == stored
    assert build.source_path == f"s3://{stage.sources.name}/build-sources/{stage.workspace_id}/{build.id}/{stored}"
