"""Execution logs: one record an invocation."""

import enum
from dataclasses import dataclass
from datetime import datetime


class ExecutionStatus(enum.Enum):
    """SUCCESS is a 2xx answer, everything else is ERROR."""

    SUCCESS = "success"
    ERROR = "error"


class LogLevel(enum.Enum):
    """INFO for 2xx, WARN for 3xx and 4xx, ERROR for 5xx and for what never answered."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionLogRecord:
    """An invocation as it was recorded; the bodies are JSON text, so that numbers keep every digit."""

    id: str
    function_id: str
    workspace_id: str | None
    timestamp: datetime
    status: ExecutionStatus
    duration_ms: float
    status_code: int
    request_body: str | None
    """JSON text; None where nothing was sent."""
    response_body: str | None
    logs: tuple[str, ...]
    level: LogLevel

    @property
    def body_characters(self) -> int:
        """Of what was sent and answered: nearly all of its size."""
        return len(self.request_body or "") + len(self.response_body or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionLogFilter:
    """Which logs of a list are wanted; `since` is inclusive, `until` exclusive."""

    status: ExecutionStatus | None = None
    level: LogLevel | None = None
    since: datetime | None = None
    until: datetime | None = None
