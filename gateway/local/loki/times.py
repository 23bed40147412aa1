"""Times in the parameters of Loki's API."""

from collections.abc import Mapping
from datetime import UTC, datetime

from gateway.local.loki.errors import BadRequestError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_NS = 3600 * 10**9
MAX_NS = 2**63 - 1
SECONDS_DIGITS = 10
"""Integers of so many digits are seconds, longer ones nanoseconds."""


def parse_range(parameters: Mapping[str, str], now_ns: int) -> tuple[int, int]:
    """`start` and `end` in nanoseconds, by default the last hour; BadRequestError when they are wrong."""
    end = _parse_time(parameters["end"]) if parameters.get("end") else now_ns
    start = _parse_time(parameters["start"]) if parameters.get("start") else end - HOUR_NS
    if end <= start:
        raise BadRequestError("end timestamp must not be before or equal to start time")
    return start, end


def _parse_time(text: str) -> int:
    """Read nanoseconds, seconds (few digits, or a fraction) or RFC 3339."""
    whole, _, fraction = text.partition(".")
    if text.isdecimal():
        time_ns = int(text) * 10**9 if len(text) <= SECONDS_DIGITS else int(text)
    elif whole.isdecimal() and fraction.isdecimal():
        time_ns = int(whole) * 10**9 + int(fraction[:9].ljust(9, "0"))
    else:
        try:
            since = datetime.fromisoformat(text) - EPOCH
        except (ValueError, TypeError) as error:  # TypeError: no offset
            raise BadRequestError(f"could not parse {text!r} as a time: {error}") from error
        time_ns = (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000
    if abs(time_ns) > MAX_NS:
        raise BadRequestError(f"could not parse {text!r} as a time: value out of range")
    return time_ns
