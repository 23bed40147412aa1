"""How rows are read, whoever wrote them: absent, NULL-typed and oddly typed attributes have a meaning here."""

import logging
import math
import time as time_module
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from gateway.records.clock import KST
from gateway.upstream.dynamo.attributes import Item

logger = logging.getLogger(__name__)
T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that a row does not have but the contract requires."""


EPOCH_DIGITS = 10
"""Of seconds since the epoch from 2001 to 2286."""
TELL_AGAIN_S = 3600.0
"""Between two log lines about the same row."""
MAX_REMEMBERED_TIMES = 16_384
"""Pages are read again and again, and most of what they show has not changed; about 4 MB."""
MAX_TOLD = 10_000
"""Rows of which that is remembered; about 1 MB."""
_told: dict[str, float] = {}


class RowError(Exception):
    """A row that can't be understood."""


def text(item: Item, name: str, default: str = "") -> str:
    """A text attribute; numbers are taken as their digits, and what is no text at all as absent."""
    value = item.get(name)
    return str(value) if isinstance(value, str | int | Decimal) else default


def optional_text(item: Item, name: str) -> str | None:
    """A text attribute; absent, NULL and empty are None."""
    return text(item, name) or None


def required_text(item: Item, name: str) -> str:
    """A text attribute that the row means nothing without."""
    value = optional_text(item, name)
    if value is None:
        raise RowError(f"{name} is missing")
    return value


def number(item: Item, name: str, default: float = 0) -> float:
    """A number, also one that was stored as text; the infinities and NaN are none."""
    value = item.get(name)
    try:
        read = default if value is None or value == "" else float(value)
    except (TypeError, ValueError) as error:
        raise RowError(f"{name} is no number: {value!r}") from error
    if not math.isfinite(read):
        raise RowError(f"{name} is no number: {value!r}")
    return read


def integer(item: Item, name: str, default: int = 0) -> int:
    """A whole number, also one that was stored as text; none that GraphQL's Int can't hold."""
    read = int(number(item, name, default))
    if not -(2**31) <= read < 2**31:
        raise RowError(f"{name} is too large: {read}")
    return read


def texts(item: Item, name: str) -> list[str]:
    """A list or set of texts; a single one is taken as a list of it."""
    value = item.get(name)
    match value:
        case str():
            return [value]
        case list():
            return [str(entry) for entry in value if entry is not None]
        case set():
            return sorted(str(entry) for entry in value)
        case _:
            return []


def optional_time(item: Item, name: str) -> datetime | None:
    """A time; a naive one is UTC, as the Builder Service writes it, and a number is seconds since the epoch."""
    value = optional_text(item, name)
    if value is None:
        return None
    try:
        return _parse_time(value)
    except (ValueError, OverflowError, OSError) as error:
        raise RowError(f"{name} is no time: {value!r}") from error


@lru_cache(maxsize=MAX_REMEMBERED_TIMES)
def _parse_time(value: str) -> datetime:
    time = datetime.fromisoformat(value) if not _is_epoch(value) else datetime.fromtimestamp(float(value), UTC)
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    time.astimezone(KST)  # a time at either end of the calendar has none
    return time


def _is_epoch(value: str) -> bool:
    """Whether a time is given in seconds: ten digits, perhaps with a fraction."""
    whole, _, fraction = value.partition(".")
    return len(whole) == EPOCH_DIGITS and f"{whole}{fraction}".isdecimal()


def time(item: Item, name: str) -> datetime:
    """A time that has to be there; where it is not, the epoch."""
    return optional_time(item, name) or EPOCH


def key_id(item: Item, name: str) -> str:
    """The id that a row's key ends with, by which it is read again; `name` is PK or SK."""
    _, _, id_ = str(item[name]).partition("#")
    return id_


def read_row(item: Item, convert: Callable[[Item], T | None]) -> T | None:
    """Read one row; what can't be understood is logged and passed over, never a failed page."""
    try:
        return convert(item)
    except (RowError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        _tell_once(f"{item.get('PK')} / {item.get('SK')}", error)
        return None


def _tell_once(key: str, error: Exception) -> None:
    """Log a row that was passed over, once in an hour: a page that shows it may be read every second."""
    now = time_module.monotonic()
    if now - _told.get(key, -TELL_AGAIN_S) < TELL_AGAIN_S:
        return
    if len(_told) >= MAX_TOLD:
        _told.clear()
    _told[key] = now
    logger.warning("passed over the row %s: %s", key, error)


def without_none(item: dict[str, Any]) -> dict[str, Any]:
    """A row without the attributes that have no value; former readers take absent as null."""
    return {name: value for name, value in item.items() if value is not None}
