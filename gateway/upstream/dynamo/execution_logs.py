"""Execution logs in the table: one row an invocation, listed by function, and by workspace through the index."""

from datetime import datetime

from gateway.records.clock import Clock
from gateway.records.execution_logs import ExecutionLogFilter, ExecutionLogRecord, ExecutionStatus, LogLevel
from gateway.records.json_text import json_text
from gateway.records.pages import Page
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.expressions import Delete, Put, not_exists
from gateway.upstream.dynamo.keys import INDEX_PK, INDEX_SK, execution_log_key, stamp
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import Table

ATTRIBUTES = (
    "id",
    "functionId",
    "workspace_id",
    "timestamp",
    "status",
    "duration",
    "statusCode",
    "logs",
    "level",
    "ttl",
)
OTHER_LEVELS = {"WARNING": "WARN", "ERR": "ERROR", "CRITICAL": "ERROR", "FATAL": "ERROR"}
BODY_ATTRIBUTES = ("requestBody", "responseBody", "bodyFormat")


def body_text(item: Item, name: str) -> str | None:
    """A stored body as JSON text; rows of the former backend hold it as native values."""
    value = item.get(name)
    if value is None or (item.get("bodyFormat") == "json" and isinstance(value, str)):
        return value
    return json_text(value)


def to_execution_log(item: Item) -> ExecutionLogRecord:
    """Read a log's row."""
    at, _, id_ = rows.key_id(item, "SK").partition("#")
    status_code = rows.integer(item, "statusCode")
    return ExecutionLogRecord(
        id=rows.text(item, "id", id_),
        function_id=rows.key_id(item, "PK"),
        workspace_id=rows.optional_text(item, "workspace_id"),
        timestamp=rows.optional_time(item, "timestamp") or rows.time({"at": at}, "at"),
        status=_to_status(rows.text(item, "status"), status_code),
        duration_ms=rows.number(item, "duration"),
        status_code=status_code,
        request_body=body_text(item, "requestBody"),
        response_body=body_text(item, "responseBody"),
        logs=tuple(rows.texts(item, "logs")),
        level=_to_level(rows.text(item, "level")),
    )


def _to_status(word: str, status_code: int) -> ExecutionStatus:
    """A status in any case; one that is not known is what the function's answer says."""
    known = ExecutionStatus.__members__.get(word.strip().upper())
    if known is not None:
        return known
    return ExecutionStatus.SUCCESS if status_code // 100 == 2 else ExecutionStatus.ERROR


def _to_level(word: str) -> LogLevel:
    """A level in any case and in the spellings of Python's and syslog's; what is not known is INFO."""
    name = word.strip().upper()
    return LogLevel.__members__.get(OTHER_LEVELS.get(name, name), LogLevel.INFO)


def _matches(log: ExecutionLogRecord, wanted: ExecutionLogFilter) -> bool:
    return (
        wanted.status in {None, log.status}
        and wanted.level in {None, log.level}
        and (wanted.since is None or wanted.since <= log.timestamp)
        and (wanted.until is None or log.timestamp < wanted.until)
    )


def _second(time: datetime) -> str:
    """How the sort keys of all logs of a time's second begin."""
    return stamp(time).partition(".")[0]


class ExecutionLogTable:
    """Reads and writes execution logs."""

    def __init__(self, table: Table, clock: Clock, retention_s: float) -> None:
        self._table = table
        self._clock = clock
        self._retention_s = retention_s

    async def put(self, log: ExecutionLogRecord) -> None:
        """Write a log; its id makes it unique, so that nothing is overwritten."""
        at = stamp(log.timestamp)
        await self._table.write(
            Put(
                item=rows.without_none(
                    {
                        **execution_log_key(log.function_id, log.timestamp, log.id).as_item(),
                        INDEX_PK: f"WS#{log.workspace_id}#LOGS",
                        INDEX_SK: f"{at}#{log.id}",
                        "id": log.id,
                        "functionId": log.function_id,
                        "workspace_id": log.workspace_id,
                        "timestamp": at,
                        "status": log.status.value,
                        "duration": round(log.duration_ms, 3),
                        "statusCode": log.status_code,
                        "requestBody": log.request_body,
                        "responseBody": log.response_body,
                        "bodyFormat": "json",
                        "logs": list(log.logs),
                        "level": log.level.value,
                        "ttl": int(log.timestamp.timestamp() + self._retention_s),
                    }
                ),
                condition=not_exists(),
            )
        )

    async def delete(self, log: ExecutionLogRecord) -> None:
        """Remove one log."""
        await self._table.write(Delete(key=execution_log_key(log.function_id, log.timestamp, log.id)))

    async def list_of_function(
        self, function_id: str, *, first: int, after: str | None, wanted: ExecutionLogFilter, bodies: bool
    ) -> Page[ExecutionLogRecord]:
        """A page of one function's logs, newest first."""
        return await self._list(
            f"FN#{function_id}", "LOG#", first=first, after=after, wanted=wanted, bodies=bodies, index=False
        )

    async def list_of_workspace(
        self, workspace_id: str, *, first: int, after: str | None, wanted: ExecutionLogFilter, bodies: bool
    ) -> Page[ExecutionLogRecord]:
        """A page of the logs of all functions of a workspace, newest first; the index may lag by a second."""
        return await self._list(
            f"WS#{workspace_id}#LOGS", "", first=first, after=after, wanted=wanted, bodies=bodies, index=True
        )

    async def delete_of_function(self, function_id: str) -> None:
        """Remove all of a function's logs."""
        await self._table.delete_range(f"FN#{function_id}", "LOG#")

    async def _list(
        self,
        partition: str,
        prefix: str,
        *,
        first: int,
        after: str | None,
        wanted: ExecutionLogFilter,
        bodies: bool,
        index: bool,
    ) -> Page[ExecutionLogRecord]:
        now_s = self._clock().timestamp()
        attributes = (*ATTRIBUTES, *BODY_ATTRIBUTES) if bodies else ATTRIBUTES

        def convert(item: Item) -> ExecutionLogRecord | None:
            if rows.number(item, "ttl", now_s) < now_s:
                return None  # expired, and not yet deleted by DynamoDB
            log = to_execution_log(item)
            return log if _matches(log, wanted) else None

        # By the second: a time that the former backend wrote without a fraction sorts before one with `.000000`.
        low = f"{prefix}{_second(wanted.since)}" if wanted.since else prefix or " "
        high = f"{prefix}{_second(wanted.until)}~" if wanted.until else f"{prefix}~"
        return await read_page(
            self._table,
            RowRange(partition=partition, low=low, high=high, index=index, forward=False),
            first=first,
            after=after,
            convert=convert,
            filters=wanted.status is not None or wanted.level is not None,
            large=bodies,
            attributes=attributes,
        )
