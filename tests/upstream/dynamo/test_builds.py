"""Builds in the table: rows that former readers understand, rows that others wrote, lists and conditions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.builds.states import enter
from gateway.errors import ConflictError, NotFoundError
from gateway.records.builds import BuildChangedError, BuildKind, BuildRecord, BuildStatus, FunctionGoneError
from gateway.records.functions import FunctionStatus
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Put, Update, equals
from gateway.upstream.dynamo.keys import Key, build_key, build_pointer_key
from tests.builds.samples import START, a_build, a_function, a_spec, a_workspace

WORKSPACE = "ws-1a2b3c4d"
LEASE = START + timedelta(seconds=15)


async def prepare(dynamo: Dynamo) -> str:
    """A workspace with a function; its id."""
    await dynamo.workspaces.create(a_workspace(WORKSPACE, START))
    function = a_function(WORKSPACE, START)
    await dynamo.functions.create(function, b"x = 1\n")
    return function.id


def deploy_of(function_id: str) -> BuildRecord:
    """A build that deploys a function."""
    return a_build(BuildKind.DEPLOY, function_id=function_id, deploy=a_spec(), owner="replica-1")


def following(build: BuildRecord, status: BuildStatus) -> BuildRecord:
    """The build in a later status."""
    later = enter(build, status, build.updated_at + timedelta(seconds=1))
    assert later is not None
    return later


async def test_create_when_former_readers_read_it(dynamo: Dynamo) -> None:
    """Their attributes are there, in their spelling: lower case, +09:00, NULL where there is no value."""
    await prepare(dynamo)
    build = a_build(source_path="s3://b/k")
    await dynamo.builds.create(build, lease_until=LEASE)
    item = await dynamo.table.get(build_key(WORKSPACE, build.id))
    assert item is not None
    names = ("Type", "task_id", "workspace_id", "app_name", "status", "source_code_path", "wasm_path", "image_url")
    assert {name: item[name] for name in (*names, "error_message", "created_at", "updated_at")} == {
        "Type": "BuildTask",
        "task_id": build.id,
        "workspace_id": WORKSPACE,
        "app_name": "hello",
        "status": "pending",
        "source_code_path": "s3://b/k",
        "wasm_path": None,
        "image_url": None,
        "error_message": None,
        "created_at": "2026-03-01T21:30:00.000000+09:00",
        "updated_at": "2026-03-01T21:30:00.000000+09:00",
    }
    await dynamo.builds.advance(build, following(build, BuildStatus.DONE))
    item = await dynamo.table.get(build_key(WORKSPACE, build.id))
    assert item is not None
    assert item["status"] == "completed"


async def test_create_when_it_deploys(dynamo: Dynamo) -> None:
    """What is read back is what was written, and the function names the build twice."""
    function_id = await prepare(dynamo)
    build = deploy_of(function_id)
    await dynamo.builds.create(build, lease_until=LEASE)
    assert await dynamo.builds.get(build.id) == replace(build, owner=None)
    function = await dynamo.functions.get(function_id)
    assert function is not None
    assert (function.latest_build_id, function.active_build_id) == (build.id, build.id)
    assert function.status is FunctionStatus.BUILDING
    pointer = await dynamo.table.get(build_pointer_key(build.id))
    assert pointer == {
        "PK": f"BUILD#{build.id}",
        "SK": "METADATA",
        "GSI1PK": "BUILDS#ACTIVE",
        "GSI1SK": f"2026-03-01T21:30:00.000000+09:00#{build.id}",
        "workspace_id": WORKSPACE,
        "owner": "replica-1",
        "lease": "2026-03-01T21:30:15.000000+09:00",
    }


async def test_create_when_what_it_belongs_to_is_gone(dynamo: Dynamo) -> None:
    """NOT_FOUND names the field; a workspace that is being deleted is gone already."""
    function_id = await prepare(dynamo)
    with pytest.raises(NotFoundError) as caught:
        await dynamo.builds.create(replace(a_build(), workspace_id="ws-none0000"), lease_until=LEASE)
    assert caught.value.field == "workspaceId"
    with pytest.raises(NotFoundError) as caught:
        await dynamo.builds.create(deploy_of("fn-none0000"), lease_until=LEASE)
    assert caught.value.field == "functionId"
    await dynamo.workspaces.mark_deleting(WORKSPACE)
    with pytest.raises(NotFoundError):
        await dynamo.builds.create(deploy_of(function_id), lease_until=LEASE)
    page = await dynamo.builds.list_of_workspace(WORKSPACE, first=5, after=None)
    assert page.items == ()


async def test_create_when_another_deploy_is_under_way(dynamo: Dynamo) -> None:
    """CONFLICT names it; a build that does not deploy is no conflict."""
    function_id = await prepare(dynamo)
    first = deploy_of(function_id)
    await dynamo.builds.create(first, lease_until=LEASE)
    with pytest.raises(ConflictError) as caught:
        await dynamo.builds.create(deploy_of(function_id), lease_until=LEASE)
    assert caught.value.details == {"buildId": first.id}
    await dynamo.builds.create(a_build(function_id=function_id), lease_until=LEASE)


async def test_advance_when_two_replicas_try(dynamo: Dynamo) -> None:
    """One of them makes the change; the other is told that it was made."""
    await prepare(dynamo)
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.builds.advance(build, following(build, BuildStatus.BUILDING))
    with pytest.raises(BuildChangedError):
        await dynamo.builds.advance(build, following(build, BuildStatus.FAILED))
    stored = await dynamo.builds.get(build.id)
    assert stored is not None
    assert (stored.status, stored.sequence) == (BuildStatus.BUILDING, 2)


async def test_advance_when_the_build_is_finished(dynamo: Dynamo) -> None:
    """It leaves the active list, has no owner any more, and its function is free again."""
    function_id = await prepare(dynamo)
    build = deploy_of(function_id)
    await dynamo.builds.create(build, lease_until=LEASE)
    assert [found.id for found in await dynamo.builds.list_unfinished()] == [build.id]
    await dynamo.builds.advance(build, following(build, BuildStatus.FAILED))
    assert await dynamo.builds.list_unfinished() == []
    pointer = await dynamo.table.get(build_pointer_key(build.id))
    assert pointer == {
        "PK": f"BUILD#{build.id}",
        "SK": "METADATA",
        "GSI1PK": "BUILDS#ACTIVE",
        "GSI1SK": f"#ENDED#2026-03-01T21:30:01.000000+09:00#{build.id}",
        "workspace_id": WORKSPACE,
    }
    function = await dynamo.functions.get(function_id)
    assert function is not None
    assert (function.active_build_id, function.status) == (None, FunctionStatus.FAILED)
    await dynamo.builds.create(deploy_of(function_id), lease_until=LEASE)


async def test_advance_when_the_row_is_gone(dynamo: Dynamo) -> None:
    """What was deleted is not brought back."""
    await prepare(dynamo)
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.builds.delete_of_workspace(WORKSPACE)
    for status in (BuildStatus.BUILDING, BuildStatus.FAILED):
        with pytest.raises(BuildChangedError):
            await dynamo.builds.advance(build, following(build, status))
    assert await dynamo.builds.get(build.id) is None


async def test_advance_when_the_function_is_gone(dynamo: Dynamo) -> None:
    """A build can still end, but not go on to deploy."""
    function_id = await prepare(dynamo)
    build = deploy_of(function_id)
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.functions.delete(WORKSPACE, function_id)
    with pytest.raises(FunctionGoneError):
        await dynamo.builds.advance(build, following(build, BuildStatus.DEPLOYING))
    await dynamo.builds.advance(build, following(build, BuildStatus.FAILED))
    assert await dynamo.functions.get(function_id) is None


async def test_accept_when_it_was_accepted_before(dynamo: Dynamo) -> None:
    """A build has one task of the builder's, and noting it is no change of state."""
    await prepare(dynamo)
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    accepted = await dynamo.builds.accept(build, "task-1", "s3://b/k")
    assert (accepted.builder_task_id, accepted.source_path, accepted.sequence) == ("task-1", "s3://b/k", 1)
    assert await dynamo.builds.get(build.id) == accepted
    with pytest.raises(BuildChangedError):
        await dynamo.builds.accept(build, "task-2", None)


@pytest.mark.parametrize(
    ("item", "status", "created_at"),
    [
        (
            {"task_id": "8a2e", "status": "DONE", "app_name": "a", "created_at": "2026-03-01T12:30:00.5"},
            BuildStatus.DONE,
            datetime(2026, 3, 1, 12, 30, 0, 500_000, tzinfo=UTC),
        ),
        (
            {"Status": "PUSHING", "AppName": "a", "CreatedAt": "2026-03-01T12:30:00"},
            BuildStatus.PUSHING,
            datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        ),
        (
            {"status": "running", "app_name": "a", "created_at": "2026-03-01T21:30:00+09:00"},
            BuildStatus.BUILDING,
            datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
        ),
    ],
)
async def test_get_when_another_wrote_the_row(
    dynamo: Dynamo, item: dict[str, str], status: BuildStatus, created_at: datetime
) -> None:
    """The Builder Service's rows, its older ones and the former backend's are read as what they mean."""
    await dynamo.table.write(Put(item={"PK": "WS#ws-old00000", "SK": "BUILD#8a2e"} | item))
    await dynamo.table.write(Put(item=build_pointer_key("8a2e").as_item() | {"workspace_id": "ws-old00000"}))
    build = await dynamo.builds.get("8a2e")
    assert build is not None
    assert (build.id, build.workspace_id, build.app_name) == ("8a2e", "ws-old00000", "a")
    assert (build.status, build.created_at) == (status, created_at)
    assert [step.status for step in build.steps] == [status]
    assert (build.sequence, build.finished_at) == (1, created_at if status.is_final else None)


async def test_list_of_workspace_when_the_builder_wrote_a_row_too(dynamo: Dynamo) -> None:
    """It is the same build: the list has it once."""
    await prepare(dynamo)
    build = a_build(builder_task_id="8a2e")
    await dynamo.builds.create(build, lease_until=LEASE)
    row = Key(f"WS#{WORKSPACE}", "BUILD#8a2e").as_item() | {"task_id": "8a2e", "status": "DONE"}
    indexed = {"GSI1PK": f"WS#{WORKSPACE}#BUILDS", "GSI1SK": "2026-03-01T21:30:00.1+09:00#8a2e"}
    await dynamo.table.write(Put(item=row | indexed))
    await dynamo.table.write(Update(key=build_key(WORKSPACE, build.id), set={"builder_task_id": "8a2e"}))
    page = await dynamo.builds.list_of_workspace(WORKSPACE, first=5, after=None)
    assert [item.id for item in page.items] == [build.id]
    assert len(page.positions) == 1


async def test_lists_when_there_are_pages(dynamo: Dynamo) -> None:
    """Newest first, each once; of a function its own, of a workspace all, in as few calls as there can be."""
    function_id = await prepare(dynamo)
    builds = [a_build(created_at=START + timedelta(seconds=n)) for n in range(5)]
    builds = [replace(build, function_id=function_id if n % 2 else None) for n, build in enumerate(builds)]
    for build in builds:
        await dynamo.builds.create(build, lease_until=LEASE)
    newest = [build.id for build in reversed(builds)]
    first = await dynamo.builds.list_of_workspace(WORKSPACE, first=3, after=None)
    second = await dynamo.builds.list_of_workspace(WORKSPACE, first=3, after=first.positions[-1])
    assert [build.id for build in (*first.items, *second.items)] == newest
    assert (first.has_next, second.has_next, second.has_previous) == (True, False, True)
    with recording_calls() as calls:
        page = await dynamo.builds.list_of_function(function_id, first=1, after=None)
        page = await dynamo.builds.list_of_function(function_id, first=1, after=page.positions[-1])
    assert [build.id for build in page.items] == [newest[3]]
    assert [call.operation for call in calls] == ["Query", "BatchGetItem"] * 2


async def test_delete_of_workspace_when_the_builder_wrote_rows_too(dynamo: Dynamo) -> None:
    """Nothing of the workspace's builds is left, pointers included."""
    await prepare(dynamo)
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.table.write(Put(item=Key(f"WS#{WORKSPACE}", "BUILD#8a2e").as_item()))
    await dynamo.builds.delete_of_workspace(WORKSPACE)
    left = [item["SK"] async for item in dynamo.table.query_all(equals("PK", f"WS#{WORKSPACE}"))]
    assert not [sk for sk in left if sk.startswith("BUILD#")]
    assert await dynamo.table.get(build_pointer_key(build.id)) is None


async def test_get_builder_task_when_there_is_none(dynamo: Dynamo) -> None:
    """None, and None too where its status says nothing."""
    assert await dynamo.builds.get_builder_task(WORKSPACE, "8a2e") is None
    row = Key(f"WS#{WORKSPACE}", "BUILD#8a2e").as_item()
    await dynamo.table.write(Put(item=row | {"status": "?"}))
    assert await dynamo.builds.get_builder_task(WORKSPACE, "8a2e") is None
    await dynamo.table.write(Put(item=row | {"status": "PUSHING", "wasm_path": "s3://w"}))
    task = await dynamo.builds.get_builder_task(WORKSPACE, "8a2e")
    assert task is not None
    assert (task.task_id, task.status, task.wasm_path) == ("8a2e", BuildStatus.PUSHING, "s3://w")
