"""How rows are read, whoever wrote them: absent, NULL-typed and oddly typed attributes have a meaning here."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from gateway.upstream.dynamo.attributes import Item

logger = logging.getLogger(__name__)
T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that a row does not have but the contract requires."""


class RowError(Exception):
    """A row that can't be understood."""


def text(item: Item, name: str, default: str = "") -> str:
    """A text attribute; numbers are taken as their digits."""
    value = item.get(name)
    return default if value is None else str(value)


def optional_text(item: Item, name: str) -> str | None:
    """A text attribute; absent, NULL and empty are None."""
    value = item.get(name)
    return None if value is None or value == "" else str(value)


def number(item: Item, name: str, default: float = 0) -> float:
    """A number, also one that was stored as text."""
    value = item.get(name)
    try:
        return default if value is None or value == "" else float(value)
    except (TypeError, ValueError) as error:
        raise RowError(f"{name} is no number: {value!r}") from error


def integer(item: Item, name: str, default: int = 0) -> int:
    """A whole number, also one that was stored as text."""
    return int(number(item, name, default))


def optional_time(item: Item, name: str) -> datetime | None:
    """A time; a naive one is UTC, as the Builder Service writes it."""
    value = optional_text(item, name)
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise RowError(f"{name} is no time: {value!r}") from error
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def time(item: Item, name: str) -> datetime:
    """A time that has to be there; where it is not, the epoch."""
    return optional_time(item, name) or EPOCH


def read_row(item: Item, convert: Callable[[Item], T | None]) -> T | None:
    """Read one row; what can't be understood is logged and passed over, never a failed page."""
    try:
        return convert(item)
    except (RowError, KeyError, TypeError, ValueError, AttributeError) as error:
        logger.warning("passed over the row %s / %s: %s", item.get("PK"), item.get("SK"), error)
        return None


def without_none(item: dict[str, Any]) -> dict[str, Any]:
    """A row without the attributes that have no value; former readers take absent as null."""
    return {name: value for name, value in item.items() if value is not None}
