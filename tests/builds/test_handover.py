"""Builds that their process left before the builder had them, or is about to send: each is sent at most once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from gateway.builds.handover import hand_over
from gateway.builds.journey import Journey
from gateway.records.builder import AcceptedTask
from gateway.records.builds import BuildChangedError, BuildKind, BuildStatus, LeaseLostError
from gateway.upstream.builder import BeforeEnd
from gateway.upstream.dynamo.expressions import Put
from gateway.upstream.dynamo.keys import Key
from tests.builds.samples import SOURCE, START, a_build, an_upload, eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

TASK = "11111111-2222-4333-8444-555555555555"

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def left(stage: Stage, kind: BuildKind = BuildKind.BUILD, *, sent: bool = False, **changes: Any) -> str:
    """The id of a build whose process died after it was stored, or after it was sent as well."""
    build = a_build(kind, workspace_id=stage.workspace_id, created_at=stage.clock(), app_name="shop", **changes)
    path = await stage.sources.write_upload(stage.workspace_id, build.id, "hello.py", an_upload().file)
    await stage.journal.create(replace(build, source_path=path))
    if sent:
        await stage.journal.mark_sent(build, "the attempt of one that died")
    return build.id


async def taken_over(stage: Stage) -> Stage:
    """The process that carries on what was left."""
    after = stage.restarted()
    await after.lookout.look()
    return after


def listed(*tasks: dict[str, Any]) -> tuple[int, Any]:
    """The builder's answer about a workspace's tasks."""
    return 200, {"workspace_id": "", "tasks": list(tasks), "count": len(tasks)}


def a_row(task_id: str, created_at: datetime = START, **more: Any) -> dict[str, Any]:
    """A task of the list, as the running service has it."""
    naive = created_at.replace(tzinfo=None).isoformat()
    return {"task_id": task_id, "status": "running", "app_name": "shop", "created_at": naive} | more


async def test_carry_when_an_upload_was_never_sent(stage: Stage, script: ScriptedBuilder) -> None:
    """It is handed over from S3, as its caller wanted it, and ends like any other."""
    plain = await left(stage)
    pushed = await left(stage, BuildKind.BUILD_AND_PUSH, tag="v1", expected_image="r.example:5000/team/app:v1")
    after = await taken_over(stage)
    script.says("completed", result={"image_uri": "r.example/f:1"})
    await after.rounds(2)
    assert [(await stage.build(id_)).status.name for id_ in (plain, pushed)] == ["DONE", "DONE"]
    common = {"workspace_id": stage.workspace_id, "file": ("hello.py", SOURCE), "app_name": "shop"}
    registry = {"tag": "v1", "registry_url": "r.example:5000/team/app", "username": "", "password": ""}
    assert sorted(script.forms, key=len) == [common, common | registry]


async def test_carry_when_a_push_was_never_sent(stage: Stage, script: ScriptedBuilder) -> None:
    """It is asked for again with what the row has."""
    script.deploys.append(script.upload)
    build_id = await left(stage, BuildKind.PUSH, expected_image="r.example/app:v1", tag="v1")
    after = await taken_over(stage)
    await after.round()
    build = await stage.build(build_id)
    assert build.builder_task_id == "task-1"
    (body,) = script.bodies
    assert (body["registry_url"], body["tag"]) == ("r.example/app", "v1")
    assert body["s3_source_path"] == build.source_path


async def test_carry_when_credentials_would_be_needed(stage: Stage, script: ScriptedBuilder) -> None:
    """They are not stored: the build fails, and says why."""
    build_id = await left(stage, BuildKind.BUILD_AND_PUSH, has_credentials=True)
    after = await taken_over(stage)
    await after.round()
    failed = await stage.build(build_id)
    assert failed.status is BuildStatus.FAILED
    assert failed.error == (
        "was never accepted by the builder: the gateway stopped before, and does not store the registry's "
        "credentials. Start it again."
    )
    assert script.calls == []


async def test_carry_when_the_source_is_gone(stage: Stage, script: ScriptedBuilder) -> None:
    """There is nothing to hand over: the build fails."""
    build_id = await left(stage)
    await stage.sources.delete_uploads(stage.workspace_id, build_id)
    after = await taken_over(stage)
    await after.round()
    assert (await stage.build(build_id)).error == "was never accepted by the builder, and its source is gone"
    assert script.calls == []


async def test_submit_when_no_answer_comes(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder may have a deploy whose connection broke: it is looked for, and not sent again."""
    function = await stage.create_function()
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    async with broken_connections(script) as url:
        stage.client.base_url = url
        await stage.rounds(1, seconds=20)
    stage.client.base_url = script.url
    assert (await stage.build(build.id)).status is BuildStatus.PENDING
    script.listed = listed(a_row(TASK, app_name=build.app_name.upper()))
    await stage.rounds(1)
    assert (await stage.build(build.id)).builder_task_id == TASK
    assert len(script.forms) == 1


@asynccontextmanager
async def broken_connections(script: ScriptedBuilder) -> AsyncIterator[str]:
    """A way to the builder whose connections break when an answer comes back; its URL."""
    host, port = script.url.removeprefix("http://").split(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_connection(host, port)
        sending = asyncio.create_task(copy(reader, requests))
        await answers.read(1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        requests.close()
        writer.close()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65_536):
            writer.write(part)

    async with await asyncio.start_server(pass_on, "127.0.0.1", 0) as server:
        address, own_port = server.sockets[0].getsockname()
        yield f"http://{address}:{own_port}"


async def test_hand_over_when_another_replica_has_done_so(stage: Stage, script: ScriptedBuilder) -> None:
    """One that slept while it sent does not end its request: the builder has the build from the other alone."""
    build_id = await left(stage)
    build, asleep = await stage.build(build_id), asyncio.Event()

    async def send(before_end: BeforeEnd) -> AcceptedTask:
        await asleep.wait()
        file = an_upload(content=b"late").file
        return await stage.builder.start_build("ws-1", "hello.py", file, app_name=None, before_end=before_end)

    late = asyncio.create_task(hand_over(stage.journal, Journey(build), send, stage.clock))
    other = await taken_over(stage)
    await other.round()
    asleep.set()
    with pytest.raises((BuildChangedError, LeaseLostError)):
        await late
    assert [form["file"] for form in script.forms] == [("hello.py", SOURCE)]


async def test_mark_sent_when_it_is_said_again(stage: Stage) -> None:
    """DynamoDB may have taken it unheard, so that an attempt may repeat itself; another may not take its place."""
    build = await stage.build(await left(stage))
    await stage.journal.mark_sent(build, "one")
    await stage.journal.mark_sent(build, "one")
    with pytest.raises(BuildChangedError):
        await stage.journal.mark_sent(build, "other")
    assert (await stage.build(build.id)).sent_by == "one"


async def test_cancel_when_it_is_being_sent(stage: Stage, script: ScriptedBuilder) -> None:
    """Before the end of the request, the builder gets nothing of it."""
    build = await stage.build(await left(stage))
    asleep = asyncio.Event()

    async def send(before_end: BeforeEnd) -> AcceptedTask:
        async def wait_for_it() -> None:
            await asleep.wait()
            await before_end()

        file = an_upload().file
        return await stage.builder.start_build("ws-1", "a.py", file, app_name=None, before_end=wait_for_it)

    sending = asyncio.create_task(hand_over(stage.journal, Journey(build), send, stage.clock))
    await stage.replica("replica-2").cancellations.cancel(build.id)
    asleep.set()
    with pytest.raises(BuildChangedError):
        await sending
    after = await stage.build(build.id)
    assert (after.status, after.sent_by) == (BuildStatus.CANCELLED, None)
    assert script.forms == []


@pytest.mark.parametrize("by_its_owner", [True, False])
async def test_cancel_when_the_builder_is_about_to_answer(
    stage: Stage, script: ScriptedBuilder, by_its_owner: bool
) -> None:
    """It stays cancelled, and names the builder's task: whose own row is not listed beside it."""
    script.upload = (202, {"task_id": TASK, "status": "pending", "source_s3_path": "s3://b/k"})
    script.released = asyncio.Event()
    starting = asyncio.create_task(stage.starts.start_build(workspace_id=stage.workspace_id, upload=an_upload()))

    async def called() -> bool:
        return bool(script.calls)

    await eventually(called)
    (build,) = await stage.dynamo.builds.list_unfinished()
    await (stage if by_its_owner else stage.replica("replica-2")).cancellations.cancel(build.id)
    script.released.set()
    answered = await starting
    after = await stage.build(build.id)
    assert (after.status, after.sequence, after.builder_task_id) == (BuildStatus.CANCELLED, 2, TASK)
    assert answered == after
    assert stage.poller.carried == 0
    row = Key(f"WS#{stage.workspace_id}", f"BUILD#{TASK}").as_item() | {"task_id": TASK, "status": "DONE"}
    indexed = {"GSI1PK": f"WS#{stage.workspace_id}#BUILDS", "GSI1SK": f"2999-01-01T00:00:00+09:00#{TASK}"}
    await stage.dynamo.table.write(Put(item=row | indexed | {"created_at": "2999-01-01T00:00:00"}))
    page = await stage.dynamo.builds.list_of_workspace(stage.workspace_id, first=1, after=None)
    assert ([item.id for item in page.items], page.has_next) == ([build.id], False)
