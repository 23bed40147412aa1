"""Builds of the former backend and the Builder Service: each once in its list, found by its id, and ended."""

from datetime import timedelta

import pytest

from gateway.records.builds import BuildStatus
from gateway.upstream.dynamo.removal import WorkspaceRemoval
from tests.builds.samples import a_build, a_workspace
from tests.migration.former import at, build_row, korean, naive, old_row, task_id, task_row, workspace_row
from tests.migration.stage import LATER, Stage

WS = "ws-1a2b3c4d"
FORMER = "abcdefghijklmnopqrst_1"
TASK = task_id("one")


async def listed(stage: Stage) -> dict[str, BuildStatus]:
    """The workspace's builds in their order; each is read by its id too."""
    async with stage.dynamo() as dynamo:
        page = await dynamo.builds.list_of_workspace(WS, first=50, after=None)
        by_id = await dynamo.builds.get_many([build.id for build in page.items])
        assert [by_id[build.id] for build in page.items] == list(page.items)
        assert await dynamo.builds.list_unfinished() == []
        return {build.id: build.status for build in page.items}


async def test_build_and_its_task_are_one(stage: Stage) -> None:
    """A finished build of the former backend names its task in the artifact's path."""
    stage.write(workspace_row(WS), task_row(WS, TASK, 500))
    stage.write(build_row(WS, FORMER, 0, wasm_path=f"s3://bucket/build-artifacts/{TASK}/hello.wasm"))
    await stage.migrate()
    assert await listed(stage) == {FORMER: BuildStatus.DONE}
    assert stage.rows()[f"WS#{WS}", f"BUILD#{FORMER}"]["builder_task_id"] == TASK


async def test_task_without_a_build_is_a_build(stage: Stage) -> None:
    """What was started at the Builder Service directly is listed under its own id, at its own time."""
    stage.write(workspace_row(WS), task_row(WS, TASK, 50, app_name="other"), build_row(WS, FORMER, 0))
    await stage.migrate()
    assert await listed(stage) == {TASK: BuildStatus.DONE, FORMER: BuildStatus.DONE}
    async with stage.dynamo() as dynamo:
        build = await dynamo.builds.get(TASK)
    assert build is not None
    assert build.created_at == at(50)


async def test_unfinished_build_ends_as_its_task_did(stage: Stage) -> None:
    """The former backend never looked again; its row takes what the task of that time and name came to."""
    stage.write(
        workspace_row(WS), build_row(WS, FORMER, 0, status="pending", app_name="My_App.py", image_url=None)
    )
    stage.write(task_row(WS, TASK, 2, app_name="myapp", image_url="registry/myapp:2"))
    done = await stage.migrate()
    assert done.made["unfinished builds ended"] == 1
    assert await listed(stage) == {FORMER: BuildStatus.DONE}
    row = stage.rows()[f"WS#{WS}", f"BUILD#{FORMER}"]
    assert (row["status"], row["image_url"], row["error_message"]) == ("completed", "registry/myapp:2", None)
    assert row["updated_at"] == "2025-09-01T12:00:21.000000+09:00"


@pytest.mark.parametrize("tasks", [0, 2])
async def test_unfinished_build_of_an_unknown_task_is_failed(stage: Stage, tasks: int) -> None:
    """Nobody polls it for ever; two tasks that may be its own are two builds."""
    stage.write(workspace_row(WS), build_row(WS, FORMER, 0, status="pending"))
    ids = [task_id(str(number)) for number in range(tasks)]
    stage.write(*(task_row(WS, id_, 2 + number) for number, id_ in enumerate(ids)))
    await stage.migrate()
    assert await listed(stage) == dict.fromkeys(reversed(ids), BuildStatus.DONE) | {FORMER: BuildStatus.FAILED}
    row = stage.rows()[f"WS#{WS}", f"BUILD#{FORMER}"]
    assert row["status"] == "failed"
    assert row["error_message"] == "was never finished: nobody carried it on"
    assert row["updated_at"] == "2025-09-01T12:10:00.000000+09:00"


async def test_task_of_a_crashed_builder_is_failed_in_its_own_spelling(stage: Stage) -> None:
    """Its reader expects capitals and naive UTC."""
    stage.write(workspace_row(WS), task_row(WS, TASK, 0, status="BUILDING"))
    await stage.migrate()
    assert await listed(stage) == {TASK: BuildStatus.FAILED}
    row = stage.rows()[f"WS#{WS}", f"BUILD#{TASK}"]
    assert (row["status"], row["updated_at"]) == ("FAILED", naive(at(600)))


async def test_build_of_an_unknown_status_keeps_it(stage: Stage) -> None:
    """Nobody can say whether it is finished."""
    stage.write(workspace_row(WS), build_row(WS, FORMER, 0, status="archived"))
    await stage.migrate()
    row = stage.rows()[f"WS#{WS}", f"BUILD#{FORMER}"]
    assert (row["status"], row["GSI1PK"]) == ("archived", f"WS#{WS}#BUILDS")


async def test_what_may_be_under_way_is_left(stage: Stage) -> None:
    """Within BUILD_TIMEOUT_S nothing is ended, and a task may be that of a build about to be stored."""
    stage.now = at(300)
    stage.write(workspace_row(WS), task_row(WS, TASK, 0, status="BUILDING"))
    stage.write(build_row(WS, FORMER, 100, status="pending", app_name="other"))
    done = await stage.migrate()
    assert done.left == {"builds that may still be under way: run this again later": 2}
    rows = stage.rows()
    assert "GSI1PK" not in rows[f"WS#{WS}", f"BUILD#{TASK}"]
    assert rows[f"WS#{WS}", f"BUILD#{FORMER}"]["status"] == "pending"
    stage.now = at(900)
    await stage.migrate()
    assert await listed(stage) == {FORMER: BuildStatus.FAILED, TASK: BuildStatus.FAILED}


async def test_task_of_the_gateways_build_is_not_listed(stage: Stage) -> None:
    """A row of the builder that an earlier migration listed is taken out when it turns out to be ours."""
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        await dynamo.workspaces.create(a_workspace(WS, at(0)))
        build = a_build(builder_task_id=TASK, created_at=at(0), updated_at=at(0), status=BuildStatus.DONE)
        await dynamo.builds.create(build, lease_until=at(15))
    stage.write(task_row(WS, TASK, 1, GSI1PK=f"WS#{WS}#BUILDS", GSI1SK="2025"))
    assert (await stage.migrate()).made == {
        "rows of the Builder Service taken out of lists that have the gateway's": 1
    }
    assert list(await listed(stage)) == [build.id]


async def test_rows_of_the_oldest_form_come_into_view(stage: Stage) -> None:
    """They are copied under their ids, and stay as they are for those who read them."""
    old = old_row(WS, TASK, 7)
    gone = old_row("ws-deleted0", task_id("gone"), 7)
    stage.write(workspace_row(WS), old, gone, old_row(WS, task_id("two"), 8, Status="BUILDING"))
    await stage.migrate()
    assert await listed(stage) == {task_id("two"): BuildStatus.FAILED, TASK: BuildStatus.DONE}
    rows = stage.rows()
    assert rows["ws#" + WS, "build#" + TASK] == old
    copy = rows[f"WS#{WS}", f"BUILD#{TASK}"]
    assert (copy["app_name"], copy["status"], copy["image_url"]) == ("ancient", "DONE", "registry/old:1")
    assert ("WS#ws-deleted0", f"BUILD#{task_id('gone')}") not in rows


async def test_workspace_is_deleted_with_its_oldest_rows(stage: Stage) -> None:
    """A migration afterwards has nothing to bring back."""
    stage.write(workspace_row(WS), old_row(WS, TASK, 7))
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        await dynamo.builds.delete_of_workspace(WS)
        await WorkspaceRemoval(dynamo.table).delete_rest(WS)
    assert not [key for key in stage.rows() if "build" in key[1].lower() or key[0].startswith("BUILD#")]


async def test_build_of_a_function_is_in_its_list(stage: Stage) -> None:
    """Where a row names its function; the entry leads to the build."""
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        await dynamo.workspaces.create(a_workspace(WS, at(0)))
    stage.write({"PK": f"WS#{WS}", "SK": "FN#fn-00000001", "name": "hello", "lastModified": korean(at(0))})
    stage.write(build_row(WS, FORMER, 0, function_id="fn-00000001"))
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        page = await dynamo.builds.list_of_function("fn-00000001", first=10, after=None)
    assert [build.id for build in page.items] == [FORMER]


async def test_row_that_cannot_be_understood_is_counted(stage: Stage) -> None:
    """The others are migrated all the same."""
    stage.now = LATER + timedelta(days=1)
    stage.write(workspace_row(WS), build_row(WS, FORMER, 0), build_row(WS, "broken", 0, created_at="yesterday"))
    done = await stage.migrate()
    assert done.left == {"builds that can't be understood": 1}
    assert list(await listed(stage)) == [FORMER]
