"""Execution logs as the API shows them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import strawberry
from strawberry.scalars import JSON

from gateway.errors import InvalidInputError
from gateway.records import execution_logs as records
from gateway.records.execution_logs import ExecutionLogRecord, ExecutionStatus, LogLevel
from schema.context import Info
from schema.execution_logs.loaders import ExecutionLogPageLoader, ExecutionLogQuery
from schema.functions.loaders import FunctionByIdLoader
from schema.pagination import MAX_FIRST_LOGS, Connection, check_first, decode_cursor
from schema.selection import selects_any

if TYPE_CHECKING:
    from schema.functions.types import Function

BODY_FIELDS = ("requestBody", "responseBody")
"""What is read only where it is asked for."""

strawberry.enum(
    ExecutionStatus, description="SUCCESS is a 2xx answer, everything else is ERROR and counts in `errors24h`."
)
strawberry.enum(
    LogLevel,
    description="INFO for 2xx, WARN for 3xx and 4xx, ERROR for 5xx and for what never answered (503, 504).",
)


@strawberry.type(description="An invocation of a function, as it was recorded.")
class ExecutionLog:
    """An invocation."""

    id: strawberry.ID = strawberry.field(description="Its id.")
    function_id: strawberry.ID = strawberry.field(description="The function's id, also when it is deleted.")
    timestamp: datetime = strawberry.field(description="When it was recorded, which is when it ended.")
    status: ExecutionStatus = strawberry.field(description="Whether the function answered with a 2xx.")
    duration: float = strawberry.field(description="How long the function took, in ms.")
    status_code: int = strawberry.field(
        description="The HTTP status; 504 where the function timed out, 503 where it could not be reached."
    )
    request_body: JSON | None = strawberry.field(
        description="What was sent, exactly: numbers keep every digit; "
        "beyond 64 KB `{truncated: true, bytes, text}`."
    )
    response_body: JSON | None = strawberry.field(
        description="JSON as it came; text as a string; binary as `{base64, contentType}`; beyond 256 KB "
        "`{truncated: true, bytes, text}`."
    )
    logs: list[str] = strawberry.field(description="Notes of the gateway, such as why nothing answered.")
    level: LogLevel = strawberry.field(description="How serious it is.")

    @strawberry.field(description="The function; null once it is deleted.")
    async def function(
        self, info: Info
    ) -> Annotated["Function", strawberry.lazy("schema.functions.types")] | None:
        """Load the function by id."""
        from schema.functions.types import Function  # the two types refer to each other

        record = await info.context.loader(FunctionByIdLoader).load(self.function_id)
        return None if record is None else Function.from_record(record, info.context)

    @classmethod
    def from_record(cls, record: ExecutionLogRecord) -> "ExecutionLog":
        """Make the type of a record; stored JSON text goes out as it is."""
        return cls(
            id=strawberry.ID(record.id),
            function_id=strawberry.ID(record.function_id),
            timestamp=record.timestamp,
            status=record.status,
            duration=record.duration_ms,
            status_code=record.status_code,
            request_body=_json(record.request_body),
            response_body=_json(record.response_body),
            logs=list(record.logs),
            level=record.level,
        )


@strawberry.type(description="A page of execution logs.")
class ExecutionLogConnection(Connection[ExecutionLog]):
    """A page of execution logs."""


@strawberry.input(description="Which execution logs are wanted; what is left out does not narrow.")
class ExecutionLogFilter:
    """Which logs are wanted."""

    status: ExecutionStatus | None = strawberry.field(default=None, description="Only those with this status.")
    level: LogLevel | None = strawberry.field(default=None, description="Only those of this level.")
    since: datetime | None = strawberry.field(default=None, description="From this time on, inclusive.")
    until: datetime | None = strawberry.field(default=None, description="Up to this time, exclusive.")

    def to_record(self) -> records.ExecutionLogFilter:
        """The filter as the table takes it."""
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidInputError("since must be before until.", field="filter.since")
        return records.ExecutionLogFilter(status=self.status, level=self.level, since=self.since, until=self.until)


async def resolve_execution_logs(
    info: Info,
    *,
    first: int,
    after: str | None,
    wanted: ExecutionLogFilter | None,
    workspace_id: str | None = None,
    function_id: str | None = None,
) -> ExecutionLogConnection:
    """A page of the logs of a function, or of a workspace."""
    kind = f"executionLogs:{function_id or workspace_id}"
    query = ExecutionLogQuery(
        first=check_first(first, maximum=MAX_FIRST_LOGS),
        after=decode_cursor(kind, after),
        wanted=(wanted or ExecutionLogFilter()).to_record(),
        bodies=selects_any(info, BODY_FIELDS, ("nodes",), ("edges", "node")),
        workspace_id=workspace_id,
        function_id=function_id,
    )
    page = await info.context.loader(ExecutionLogPageLoader).load(query)
    assert page is not None  # noqa: S101  # the loader answers every query
    return ExecutionLogConnection.from_page(page, kind, ExecutionLog.from_record)


def _json(text: str | None) -> JSON | None:
    return None if text is None else JSON(orjson.Fragment(text))
