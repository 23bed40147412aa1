"""What is in the table, by its keys alone: the one Scan of the gateway. What has to change is not decided here."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.upstream.dynamo.errors import translated
from gateway.upstream.dynamo.keys import INDEX_PK
from gateway.upstream.dynamo.migration.pace import Pace, Progress, Report, patiently

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_dynamodb.type_defs import ScanOutputTypeDef

PAGE_ROWS = 1000
"""Rows of one Scan at the most: 1 MB often holds more, and the rate is kept between pages."""

_OURS = re.compile(
    r"(WS#[^#]*\|(WSSTATS|FNSTATS#.*|DEPLOY#.*)"
    r"|FN#[^#]*\|(METADATA|BUILD#.*|LOG#.*|APP#.*|HOLD|IMAGE)|(BUILD|APP)#.*\|METADATA)",
    re.DOTALL,
)
"""Keys, with a bar between the two, of rows that need nothing."""


@dataclass(slots=True)
class Survey:
    """The ids that the keys of the table name."""

    rows: int = 0
    workspaces: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    """The workspace of each function."""
    unlisted_logs: Counter[str] = field(default_factory=Counter)
    """How many logs of each function are not in the index."""
    with_builds: set[str] = field(default_factory=set)
    """Workspaces that have builds, in rows of any form."""
    unknown: int = 0

    def note(self, item: Mapping[str, Mapping[str, Any]]) -> None:
        """Note a row."""
        self.rows += 1
        pk, sk = item["PK"]["S"], item["SK"]["S"]
        head, _, id_ = pk.partition("#")
        kind, _, rest = sk.partition("#")
        match head, kind:
            case "WS", "METADATA":
                self.workspaces.add(id_)
            case "WS", "FN":
                self.functions[rest] = id_
            case ("WS", "BUILD") | ("ws", "build"):
                self.with_builds.add(id_)
            case "FN", "LOG" if INDEX_PK not in item:
                self.unlisted_logs[id_] += 1
            case _ if not _OURS.fullmatch(f"{pk}|{sk}"):
                self.unknown += 1


async def survey_table(
    client: "DynamoDBClient", table_name: str, pace: Pace, report: Report, *, item_count: int
) -> Survey:
    """Scan the keys of the table; `item_count` is how many rows it has about, for the progress."""
    survey = Survey()
    progress = Progress(report, "rows looked at", item_count, about=True)
    start: Any = {}

    async def scan() -> "ScanOutputTypeDef":
        with translated("Scan", table_name):
            return await client.scan(
                TableName=table_name,
                ProjectionExpression="PK, SK, #index",
                ExpressionAttributeNames={"#index": INDEX_PK},
                Limit=PAGE_ROWS,
                **start,
            )

    while True:
        page = await patiently(scan, report)
        for item in page["Items"]:
            survey.note(item)
        progress.advance(len(page["Items"]))
        if not page.get("LastEvaluatedKey"):
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        await pace.take(len(page["Items"]))
    progress.end()
    return survey
