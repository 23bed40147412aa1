"""`migrate` beside running gateways, and killed in the middle."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Awaitable, Callable

from gateway.records.execution_logs import ExecutionLogFilter
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.migration.amendments import Amendments
from gateway.upstream.dynamo.migration.functions import complete_functions
from gateway.upstream.dynamo.migration.pace import Pace
from gateway.upstream.dynamo.migration.workspaces import RECOUNTED, count_functions
from tests.builds.samples import a_function
from tests.migration.former import at, former_rows, function_row, log_row, workspace_row
from tests.migration.stage import Stage, kinds

WS = "ws-00000000"
ROWS = 2_000
LOGS_OF_ROWS = 1_936
"""Of the rows that `former_rows` makes, with two workspaces of ten functions."""


class Interposed(Pace):
    """Does something before the first write, at the moment when everything for it was read."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(None)
        self.happens: Callable[[], Awaitable[None]] | None = happens

    async def take(self, rows: int = 1) -> None:
        """Let it happen, once."""
        assert rows > 0
        if (happens := self.happens) is not None:
            self.happens = None
            await happens()


async def create(dynamo: Dynamo) -> str:
    """A new function's id."""
    function = a_function(WS, at(0))
    await dynamo.functions.create(function, b"")
    return function.id


async def test_recount_when_a_function_is_created_and_another_deleted(stage: Stage) -> None:
    """functionCount is what it was before, and still the recount notices and begins again."""
    stage.write(workspace_row(WS), function_row(WS, "fn-00000001"), function_row(WS, "fn-00000002"))
    await stage.migrate()
    stage.write(function_row(WS, "fn-00000003"))  # by the former backend, which does not count
    async with stage.dynamo() as dynamo:

        async def swap() -> None:
            await create(dynamo)
            await dynamo.functions.delete(WS, "fn-00000001")
            await dynamo.functions.delete(WS, "fn-00000002")
            await create(dynamo)

        amendments = Amendments(dynamo.table, Interposed(swap), stage.progress.append, dry_run=False)
        functions = await count_functions(dynamo.table, amendments, WS)
        workspace = await dynamo.workspaces.get(WS)
    assert amendments.made[RECOUNTED] == 1
    assert len(functions) == 3
    assert workspace is not None
    assert workspace.function_count == 3


async def test_counts_are_exact_while_functions_come_and_go(stage: Stage) -> None:
    """Beside eight clients that create and delete, a wrong count becomes the number of rows that are there."""
    stage.write(workspace_row(WS), *(function_row(WS, f"fn-0000000{number}") for number in range(10)))
    stage.write(*(log_row("fn-00000000", number) for number in range(50)))
    await stage.migrate()  # the index, so that gateways run
    stage.write(workspace_row(WS, functionCount=77))
    recounted: list[int] = []
    async with stage.dynamo() as dynamo:

        async def client(number: int) -> None:
            await dynamo.functions.delete(WS, f"fn-0000000{number}")
            for _ in range(5):
                kept = await create(dynamo)
                await dynamo.functions.delete(WS, await create(dynamo))
                assert await dynamo.functions.get(kept) is not None

        async def recount() -> None:
            while not sum(recounted):  # what never rests is left to the next run
                recounted.append((await stage.migrate()).made.get(RECOUNTED, 0))

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(client(number))
            group.create_task(recount())
        workspace = await dynamo.workspaces.get(WS)
    counted = kinds(stage.rows())
    assert sum(recounted) == 1
    assert workspace is not None
    assert workspace.function_count == counted["WS FN"] == counted["WS FNSTATS"] == counted["FN METADATA"]


async def test_deleted_function_does_not_come_back(stage: Stage) -> None:
    """Neither its pointer nor its figures are made where it is deleted while it is being looked at."""
    stage.write(workspace_row(WS), function_row(WS, "fn-00000001"))
    async with stage.dynamo() as dynamo:

        async def delete() -> None:
            await dynamo.functions.delete(WS, "fn-00000001")

        amendments = Amendments(dynamo.table, Interposed(delete), stage.progress.append, dry_run=False)
        functions = [stage.rows()[f"WS#{WS}", "FN#fn-00000001"]]
        await complete_functions(dynamo.table, amendments, WS, functions)
    assert kinds(stage.rows()) == {"WS METADATA": 1}
    assert not amendments.made


async def test_killed_migration_is_finished_by_the_next(stage: Stage, aws_environment: dict[str, str]) -> None:
    """Wherever it is killed, the next one does the rest, and nothing is there twice."""
    stage.write(*former_rows(ROWS))
    command = [sys.executable, "-m", "gateway", "migrate", "--rate", "0"]
    environment = os.environ | aws_environment
    environment |= {
        "AWS_ENDPOINT_URL": stage.migrate_url,
        "DYNAMODB_TABLE_NAME": stage.table,
        "S3_BUCKET_NAME": stage.settings.s3_bucket_name,
    }
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=DEVNULL, stderr=PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"execution logs: " not in (line := await process.stderr.readline()):
            assert line, "it ended before it could be killed"
    process.kill()
    await process.wait()
    killed = {key for key, item in stage.rows().items() if key[1].startswith("LOG#") and "GSI1PK" in item}
    assert 0 < len(killed) < LOGS_OF_ROWS
    done = await stage.migrate()
    # Writes that were under way when it was killed may have been done since.
    assert 0 < done.made["execution logs put into their workspace's list"] <= LOGS_OF_ROWS - len(killed)
    await check_complete(stage)
    assert (await stage.migrate()).made == {}


async def check_complete(stage: Stage) -> None:
    """Every row of before is in its list, once."""
    counted = kinds(stage.rows())
    assert counted == {
        "WS METADATA": 2,
        "WS WSSTATS": 2,
        **dict.fromkeys(("WS FN", "WS FNSTATS", "FN METADATA", "FN APP", "APP METADATA"), 20),
        "WS BUILD": 42,  # two copied from the oldest form
        "ws build": 2,
        "BUILD METADATA": 22,
        "FN LOG": LOGS_OF_ROWS,
    }
    async with stage.dynamo() as dynamo:
        logs: Counter[str] = Counter()
        for workspace_id in ("ws-00000000", "ws-00000001"):
            after = None
            while True:
                page = await dynamo.execution_logs.list_of_workspace(
                    workspace_id, first=500, after=after, wanted=ExecutionLogFilter(), bodies=False
                )
                logs.update(f"{log.function_id} {log.id}" for log in page.items)
                if not page.has_next:
                    break
                after = page.positions[-1]
            builds = await dynamo.builds.list_of_workspace(workspace_id, first=50, after=None)
            assert len(builds.items) == 11
    assert len(logs) == sum(logs.values()) == LOGS_OF_ROWS
