"""Execution logs of before into their workspace's list. They get no time to live: nobody agreed to their end."""

from functools import partial

from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.execution_logs import to_execution_log
from gateway.upstream.dynamo.expressions import Update, all_of, begins_with, equals, exists, not_exists
from gateway.upstream.dynamo.keys import INDEX_PK, INDEX_SK, Key, stamp
from gateway.upstream.dynamo.migration.amendments import Amendments
from gateway.upstream.dynamo.migration.pace import Progress, for_each, patiently
from gateway.upstream.dynamo.table import Table

LISTED = "execution logs put into their workspace's list"
CONCURRENCY = 16
"""Writes of one function's logs at once; the rate bounds them before that, except against a slow table."""
ATTRIBUTES = ("PK", "SK", INDEX_PK, "id", "timestamp")


async def list_logs(
    table: Table, amendments: Amendments, progress: Progress, function_id: str, workspace_id: str
) -> None:
    """Give the logs of a function the index attributes that they lack."""

    async def list_one(item: Item) -> None:
        progress.advance()
        log = rows.read_row(item, to_execution_log)
        if log is None:
            amendments.left["execution logs that can't be understood"] += 1
            return
        place = {
            INDEX_PK: f"WS#{workspace_id}#LOGS",
            INDEX_SK: f"{stamp(log.timestamp)}#{log.id}",
            "workspace_id": workspace_id,
        }
        key = Key(item["PK"], item["SK"])
        update = Update(key=key, set=place, condition=all_of(exists(), not_exists(INDEX_PK)))
        await amendments.make([update], LISTED)

    condition = all_of(equals("PK", f"FN#{function_id}"), begins_with("SK", "LOG#"))
    start_key = None
    while True:
        query = partial(table.query, condition, start_key=start_key, attributes=ATTRIBUTES)
        page = await patiently(query, amendments.report)
        unlisted = [item for item in page.items if INDEX_PK not in item]
        await for_each(unlisted, list_one, concurrency=CONCURRENCY)
        await amendments.pace_reads(len(page.items))
        if page.last_key is None:
            return
        start_key = page.last_key
