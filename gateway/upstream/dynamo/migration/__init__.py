"""Bringing the rows that exist into the gateway's lists; each write is conditional, so that it can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.records.clock import Clock
from gateway.upstream.dynamo.migration.amendments import Amendments
from gateway.upstream.dynamo.migration.builds import BuildAge, list_builds
from gateway.upstream.dynamo.migration.functions import SpinApps, complete_functions, name_spinapps, note_spinapp
from gateway.upstream.dynamo.migration.logs import list_logs
from gateway.upstream.dynamo.migration.pace import Pace, Progress, Report, for_each
from gateway.upstream.dynamo.migration.survey import Survey, survey_table
from gateway.upstream.dynamo.migration.workspaces import count_functions, list_workspace
from gateway.upstream.dynamo.table import Table

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient

CONCURRENCY = 8
"""Workspaces at once; the rate bounds what they write together."""
READS_PER_WRITE = 10
"""Rows read in the time of one write: a read costs half a unit for 4 KB, a write two or more for 1 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationOptions:
    """How rows are to be migrated."""

    rows_per_s: float | None
    """Rows written a second; None for no limit."""
    dry_run: bool
    namespaces: Sequence[str]
    """Kubernetes namespaces in which functions may run."""
    build_timeout_s: float


async def migrate_rows(
    client: "DynamoDBClient",
    table: Table,
    options: MigrationOptions,
    *,
    item_count: int,
    clock: Clock,
    report: Report,
) -> Amendments:
    """Look at every row and change what lacks something; answers what was made and what was left."""
    rate = options.rows_per_s
    reading = Pace(None if rate is None else rate * READS_PER_WRITE)
    survey = await survey_table(client, table.name, reading, report, item_count=item_count)
    amendments = Amendments(table, Pace(rate), report, dry_run=options.dry_run, reading=reading)
    age = BuildAge(now=clock(), timeout=timedelta(seconds=options.build_timeout_s))
    live = await _amend_workspaces(table, amendments, survey, options, age)
    await _amend_logs(table, amendments, survey, live)
    _note_orphans(amendments, survey, live)
    return amendments


async def _amend_workspaces(
    table: Table, amendments: Amendments, survey: Survey, options: MigrationOptions, age: BuildAge
) -> set[str]:
    """Everything but execution logs; answers the workspaces that are there to stay."""
    progress = Progress(amendments.report, "workspaces", len(survey.workspaces))
    live: set[str] = set()
    spinapps = SpinApps(list)

    async def amend(workspace_id: str) -> None:
        if await list_workspace(table, amendments, workspace_id):
            live.add(workspace_id)
            functions = await count_functions(table, amendments, workspace_id)
            await complete_functions(table, amendments, workspace_id, functions)
            for item in functions:
                note_spinapp(spinapps, item, options.namespaces)
            if workspace_id in survey.with_builds:
                await list_builds(table, amendments, workspace_id, age)
        progress.advance()

    await for_each(sorted(survey.workspaces), amend, concurrency=CONCURRENCY)
    await name_spinapps(amendments, spinapps)
    progress.end()
    return live


async def _amend_logs(table: Table, amendments: Amendments, survey: Survey, live: set[str]) -> None:
    """The logs of functions whose workspace is known."""
    owned = [id_ for id_ in sorted(survey.unlisted_logs) if survey.functions.get(id_) in live]
    progress = Progress(amendments.report, "execution logs", sum(survey.unlisted_logs[id_] for id_ in owned))
    for function_id in owned:
        await list_logs(table, amendments, progress, function_id, survey.functions[function_id])
    progress.end()


def _note_orphans(amendments: Amendments, survey: Survey, live: set[str]) -> None:
    """Count what belongs to nothing that is there: the former backend left it when it deleted."""
    left = amendments.left
    left["functions of workspaces that are gone"] += sum(ws not in live for ws in survey.functions.values())
    left["workspaces that are gone and have builds"] += len(survey.with_builds - live)
    left["execution logs of functions that are gone"] += sum(
        number
        for function_id, number in survey.unlisted_logs.items()
        if survey.functions.get(function_id) not in live
    )
    left["rows of no known kind"] += survey.unknown
