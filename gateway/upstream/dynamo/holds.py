"""Holds: who may ask the builder to deploy a function at this moment, one row beside the function while it lasts.

The builder applies what it is told last, so that no two calls for one function may overlap: the older image could
win. A hold is longer than the longest call; it passes by itself where its process died.
"""

from datetime import datetime, timedelta

from gateway.records.image_deploys import Hold
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Check,
    Condition,
    Delete,
    Put,
    any_of,
    begins_with,
    compares,
    equals,
    not_exists,
)
from gateway.upstream.dynamo.keys import hold_key, stamp
from gateway.upstream.dynamo.table import Table

HOLD_S = 150.0
"""A call of /deploy takes up to 120 s; what is left is for the writes around it and for clocks that differ."""

EXPIRED_S = 24 * 60 * 60
"""After its end DynamoDB may remove what a process that died has left."""


def take(function_id: str, by: str, now: datetime, *, first: bool = False) -> Put:
    """Hold a function from now on, where nobody else does.

    `by` is the id of a build or of an image's deploy, `@`, and what tells the processes apart that carry it: a
    hold of one is the next one's to take, but only its own to release.
    """
    same = begins_with("held_by", by.partition("@")[0] + "@")
    until = now + timedelta(seconds=HOLD_S)
    item = {
        **hold_key(function_id).as_item(),
        "held_by": by,
        "held_until": stamp(until),
        "first": first,
        "ttl": int(until.timestamp()) + EXPIRED_S,
    }
    return Put(item=item, condition=any_of(_is_passed(now), same))


def bars_nothing(function_id: str, now: datetime) -> Check:
    """No image is being deployed for the first time; a search for an endpoint may be under way."""
    return Check(key=hold_key(function_id), condition=any_of(_is_passed(now), equals("first", False)))


def release(function_id: str, by: str) -> Delete:
    """Let others call; that of somebody else is not released."""
    return Delete(key=hold_key(function_id), condition=any_of(not_exists(), equals("held_by", by)))


def _is_passed(now: datetime) -> Condition:
    return any_of(not_exists(), compares("held_until", "<", stamp(now)))


class HoldTable:
    """Reads and writes holds."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, function_id: str) -> Hold | None:
        """Who holds a function, or did so last without releasing it."""
        item = await self._table.get(hold_key(function_id))
        if item is None:
            return None
        return Hold(
            by=rows.required_text(item, "held_by"), until=rows.time(item, "held_until"), first=bool(item["first"])
        )

    async def take(self, function_id: str, by: str, now: datetime) -> bool:
        """Hold a function; False where another does."""
        try:
            await self._table.write(take(function_id, by, now))
        except ConditionFailedError:
            return False
        return True

    async def release(self, function_id: str, by: str) -> None:
        """Let others call."""
        try:
            await self._table.write(release(function_id, by))
        except ConditionFailedError:
            return
