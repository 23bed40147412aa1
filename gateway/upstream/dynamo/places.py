"""Places: where SpinApps of functions may be, each claimed by one function at a time.

A place is claimed in the transaction that starts a deploy to it, before the builder is called, and given up when
its SpinApp was deleted. The claim is a row of the place, `APP#{namespace}#{app}`; a second row, in the function's
own partition, lists it: so whoever deletes the function, or deploys it elsewhere, finds what may be left anywhere.

What the former backend deployed has a claim from migrate, or from its first deploy by this gateway on. Before that
Kubernetes is asked which function is there, and that is gateway/services/places.py's.
"""

import contextlib
from typing import Any

from gateway.errors import PlaceTakenError
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Delete,
    Put,
    Update,
    Write,
    all_of,
    any_of,
    begins_with,
    equals,
    not_exists,
)
from gateway.upstream.dynamo.keys import function_place_key, place_key
from gateway.upstream.dynamo.table import Table

MAY_RUN = "may_run"
"""Of a listed place: the builder was called for it."""


def taken(place: Place, owner: str, *, field: str = "namespace") -> PlaceTakenError:
    """The refusal of a place that is another function's."""
    message = f"The SpinApp {place.app_name} in {place.namespace} is that of another function, {owner}."
    return PlaceTakenError(message, field=field, details={"functionId": owner})


def claim(function_id: str, place: Place) -> Put:
    """The place is the function's, where it is nobody's or the function's already."""
    item = {**place_key(place).as_item(), "Type": "Place", "function_id": function_id}
    return Put(item=item, condition=any_of(not_exists(), equals("function_id", function_id)))


def listing(function_id: str, place: Place, *, may_run: bool = True) -> Update:
    """The place is one of the function's; `may_run` once the builder is called, so that a SpinApp may be there."""
    names: dict[str, Any] = {"namespace": place.namespace, "app_name": place.app_name}
    return Update(key=function_place_key(function_id, place), set=names | ({MAY_RUN: True} if may_run else {}))


class PlaceTable:
    """Reads and gives up places."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def owner_of(self, place: Place) -> str | None:
        """The function that has claimed a place."""
        item = await self._table.get(place_key(place), attributes=("function_id",))
        return None if item is None else rows.optional_text(item, "function_id")

    async def list_of_function(self, function_id: str) -> dict[Place, bool]:
        """A function's places, each with whether a SpinApp may be there."""
        mine = all_of(equals("PK", f"FN#{function_id}"), begins_with("SK", "APP#"))
        found = self._table.query_all(mine, attributes=("namespace", "app_name", MAY_RUN), consistent=True)
        return {
            Place(rows.required_text(item, "namespace"), rows.required_text(item, "app_name")): MAY_RUN in item
            async for item in found
        }

    async def move(self, function_id: str, before: Place, after: Place) -> None:
        """Exchange a place for the one that the builder made of it; PlaceTakenError where that is another's."""
        writes: list[Write] = [
            claim(function_id, after),
            listing(function_id, after),
            Delete(key=function_place_key(function_id, before)),
        ]
        try:
            await self._table.transact(writes)
        except ConditionFailedError as error:
            owner = await self.owner_of(after)
            if owner is not None:
                raise taken(after, owner, field="appName") from error
            await self.move(function_id, before, after)  # it was given up in between
            return
        await self.give_up(function_id, before)

    async def give_up(self, function_id: str, place: Place) -> None:
        """Leave a place to others; the claim of another function is left alone. It can be repeated."""
        mine = any_of(not_exists(), equals("function_id", function_id))
        with contextlib.suppress(ConditionFailedError):
            await self._table.write(Delete(key=place_key(place), condition=mine))
        await self._table.write(Delete(key=function_place_key(function_id, place)))
