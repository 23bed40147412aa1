"""`migrate` on rows of before: what comes into view, what is left alone, and that it can be repeated."""

from datetime import timedelta

from gateway.records.execution_logs import ExecutionLogFilter
from gateway.records.image_deploys import Place
from tests.migration.former import (
    START,
    at,
    function_row,
    korean,
    log_row,
    old_row,
    task_id,
    workspace_row,
)
from tests.migration.stage import Stage, kinds

WS, FN = "ws-1a2b3c4d", "fn-1a2b3c4d"
ALL = ExecutionLogFilter()


async def test_table_of_before_is_listed_completely(stage: Stage) -> None:
    """A workspace, its function and its logs are found in every list, with the attributes that they had."""
    stage.write(workspace_row(WS), function_row(WS, FN), log_row(FN, 1), log_row(FN, 2))
    before = stage.rows()
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        (workspace,) = (await dynamo.workspaces.list_page(first=10, after=None)).items
        assert (workspace.id, workspace.function_count, workspace.created_at) == (WS, 1, START)
        function = await dynamo.functions.get(FN)
        assert function is not None
        assert (function.workspace_id, function.created_at, function.revision) == (WS, None, 1)
        assert (function.deployed_revision, function.app_name, function.namespace) == (1, "fn1a2b3c4d", "default")
        logs = await dynamo.execution_logs.list_of_workspace(WS, first=10, after=None, wanted=ALL, bodies=True)
        assert [log.id for log in logs.items] == ["log-00000002", "log-00000001"]
        assert {log.workspace_id for log in logs.items} == {WS}
    after = stage.rows()
    changed = {"functionCount"}
    assert {key: {n: after[key][n] for n in item if n not in changed} for key, item in before.items()} == {
        key: {n: v for n, v in item.items() if n not in changed} for key, item in before.items()
    }
    assert all("ttl" not in item for item in after.values())


async def test_second_run_changes_nothing(stage: Stage) -> None:
    """What was migrated is as it should be, so that nothing is written again."""
    stage.write(workspace_row(WS), function_row(WS, FN), log_row(FN, 1), old_row(WS, task_id("old"), 3))
    first = await stage.migrate()
    assert first.prepared[0].startswith("add the index GSI1")
    rows = stage.rows()
    second = await stage.migrate()
    assert (second.prepared, second.made, second.left, second.problems) == ((), {}, {}, ())
    assert stage.rows() == rows


async def test_dry_run_says_the_same_and_changes_nothing(stage: Stage) -> None:
    """The counts of a dry run are those of the run after it; the table and its index stay as they were."""
    stage.write(workspace_row(WS), function_row(WS, FN), log_row(FN, 1), old_row(WS, task_id("old"), 3))
    rows = stage.rows()
    dry = await stage.migrate(dry_run=True)
    assert stage.rows() == rows
    assert not stage.client.describe_table(TableName=stage.table)["Table"].get("GlobalSecondaryIndexes")
    again = await stage.migrate(dry_run=True)
    assert again == dry
    assert await stage.migrate() == dry


async def test_missing_table_in_a_dry_run(stage: Stage) -> None:
    """Nothing is created where nothing is there."""
    stage.client.delete_table(TableName=stage.table)
    dry = await stage.migrate(dry_run=True)
    assert dry.prepared[0].startswith(f"create the table {stage.table} ")
    assert stage.table not in stage.client.list_tables()["TableNames"]


async def test_missing_table_is_created_whole(stage: Stage) -> None:
    """Keys, index and time to live."""
    stage.client.delete_table(TableName=stage.table)
    await stage.migrate()
    table = stage.client.describe_table(TableName=stage.table)["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["GSI1"]
    ttl = stage.client.describe_time_to_live(TableName=stage.table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


async def test_what_belongs_to_nothing_is_left(stage: Stage) -> None:
    """Functions and logs of what was deleted stay out of view, and are counted."""
    stage.write(
        workspace_row(WS),
        function_row("ws-deleted0", FN),
        log_row(FN, 1),
        log_row("fn-deleted0", 1),
        {"PK": "SOMETHING#1", "SK": "ELSE"},
    )
    done = await stage.migrate()
    assert done.left == {
        "functions of workspaces that are gone": 1,
        "execution logs of functions that are gone": 2,
        "rows of no known kind": 1,
    }
    async with stage.dynamo() as dynamo:
        assert await dynamo.functions.get(FN) is None


async def test_workspace_that_is_being_deleted_is_left(stage: Stage) -> None:
    """It does not come back into the list."""
    stage.write(workspace_row(WS, deleting=True), function_row(WS, FN))
    await stage.migrate()
    assert kinds(stage.rows()) == {"WS METADATA": 1, "WS FN": 1}


async def test_function_count_of_any_type_is_made_a_number(stage: Stage) -> None:
    """Text and NULL can't be counted up by the next create."""
    for index, count in enumerate(("3", None, 3.5, 1)):
        stage.write(workspace_row(f"ws-0000000{index}", functionCount=count))
        stage.write(function_row(f"ws-0000000{index}", f"fn-0000000{index}"))
    done = await stage.migrate()
    assert done.made["function counts corrected"] == 3
    rows = stage.rows()
    assert [rows[f"WS#ws-0000000{index}", "METADATA"]["functionCount"] for index in range(4)] == [1, 1, 1, 1]


async def test_functions_that_share_a_spinapp_are_not_given_it(stage: Stage) -> None:
    """A delete of one would end the other; the one of an address elsewhere has no SpinApp that we know."""
    shared = "hello.default.svc.cluster.local"
    stage.write(workspace_row(WS), function_row(WS, "fn-00000001", invocationUrl=shared))
    stage.write(function_row(WS, "fn-00000002", invocationUrl=shared))
    stage.write(function_row(WS, "fn-00000003", invocationUrl="http://mine.elsewhere.svc.cluster.local"))
    stage.write(function_row(WS, "fn-00000004", lastDeployed=None))
    stage.write(function_row(WS, "fn-00000005", invocationUrl="http://[broken"))
    done = await stage.migrate()
    assert "functions given the name of their SpinApp" not in done.made
    assert done.left == {"functions that share a SpinApp with another": 2}


async def test_function_is_given_its_spinapp_for_itself(stage: Stage) -> None:
    """Its row names it, and it is claimed, so that no other function is deployed as it; claims need nothing."""
    stage.write(workspace_row(WS), function_row(WS, FN, invocationUrl="hello.default.svc.cluster.local"))
    done = await stage.migrate()
    assert done.made["functions given the name of their SpinApp"] == 1
    row = stage.rows()[f"WS#{WS}", f"FN#{FN}"]
    assert (row["app_name"], row["namespace"]) == ("hello", "default")
    async with stage.dynamo() as dynamo:
        assert await dynamo.places.owner_of(Place("default", "hello")) == FN
        assert await dynamo.places.list_of_function(FN) == {Place("default", "hello"): True}
    again = await stage.migrate()
    assert (again.made, "rows of no known kind" in again.left) == ({}, False)


async def test_function_that_was_never_deployed_has_undeployed_changes(stage: Stage) -> None:
    """Its revision is not taken for deployed."""
    stage.write(workspace_row(WS), function_row(WS, FN, lastDeployed=None))
    await stage.migrate()
    row = stage.rows()[f"WS#{WS}", f"FN#{FN}"]
    assert row["revision"] == 1
    assert "deployed_revision" not in row


async def test_logs_are_ordered_whatever_the_writing_of_their_times(stage: Stage) -> None:
    """Times with and without a fraction, naive and of other zones, stand in the order of their moments."""
    stage.write(workspace_row(WS), function_row(WS, FN))
    moments = [korean(at(0)), "2025-09-01T03:00:00.5", "2025-09-01T03:00:01Z", korean(at(2))]
    for number, moment in enumerate(moments):
        row = log_row(FN, number, timestamp=moment)
        stage.write(row | {"SK": f"LOG#{moment}#log-{number}", "id": f"log-{number}"})
    await stage.migrate()
    async with stage.dynamo() as dynamo:
        page = await dynamo.execution_logs.list_of_workspace(WS, first=10, after=None, wanted=ALL, bodies=False)
    assert [log.id for log in page.items] == ["log-3", "log-2", "log-1", "log-0"]
    assert page.items[1].timestamp - page.items[3].timestamp == timedelta(seconds=1)


async def test_bucket_is_created_only_on_a_stand_in(stage: Stage) -> None:
    """With an endpoint of its own the bucket is made; the second run finds it."""
    assert f"create the bucket {stage.settings.s3_bucket_name}" in (await stage.migrate()).prepared
    assert (await stage.migrate()).prepared == ()
