"""Time as the platform keeps it: Korean Standard Time, by a clock that is handed in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

KST = timezone(timedelta(hours=9))
"""What times are stored and answered in."""

CLOCK_SKEW_S = 2.0
"""By which the clocks of two replicas may differ; hosts that keep time by NTP stay within a tenth of it."""

Clock = Callable[[], datetime]
"""Tells the time now, aware."""


def system_clock() -> datetime:
    """The time now, by the machine's clock."""
    return datetime.now(UTC)


def hour_of(time: datetime) -> int:
    """The absolute hour: hours since the epoch."""
    return int(time.timestamp() // 3600)
