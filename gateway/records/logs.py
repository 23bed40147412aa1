"""Lines of the functions' own output, as Loki holds them."""

import enum
from dataclasses import dataclass
from datetime import datetime


class LogDirection(enum.Enum):
    """In which order lines are wanted."""

    NEWEST_FIRST = "backward"
    OLDEST_FIRST = "forward"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """One page of one function's lines; hashable, so that it can be a dataloader's key."""

    function_id: str
    first: int
    after: str | None = None
    """The position of a line, from an earlier page."""
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    contains: str | None = None
    direction: LogDirection = LogDirection.NEWEST_FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntryRecord:
    """One line of one stream."""

    timestamp_ns: int
    line: str
    level: str | None
    labels: tuple[tuple[str, str], ...]
    """The stream's labels, sorted by name."""
