"""Whether a SpinApp of a name may be a function's: no function takes over that of another.

What this gateway deployed is claimed in the table, and the claim is what counts: it is written with the deploy, so
that of two at once one is refused. What the former backend deployed was named after its function, and has no
claim before migrate or its first deploy here; there the SpinApp's label says whose it is. Where Kubernetes can't
be asked, a place without a claim is free: a deploy must not fail because of what most likely is not there.
"""

import logging
from collections.abc import Awaitable, Callable

from gateway.errors import InvalidInputError, KubernetesError
from gateway.records.builder import clean_name
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.places import taken

GetSpinAppOwner = Callable[[str, str], Awaitable[str | None]]
"""The function that the SpinApp of a namespace and a name is labelled with."""

logger = logging.getLogger(__name__)


def named_place(namespace: str, app_name: str) -> Place:
    """Where the builder deploys an app of this name: it lowers it and takes spaces, `-` and `_` out."""
    return Place(namespace, clean_name(app_name).lower())


class PlaceChecks:
    """Refuses what is another function's; `field` is what of the input named it."""

    def __init__(self, dynamo: Dynamo, get_spinapp_owner: GetSpinAppOwner) -> None:
        self._dynamo = dynamo
        self._get_spinapp_owner = get_spinapp_owner

    async def check(self, function: FunctionRecord, place: Place, *, field: str) -> None:
        """PlaceTakenError where a function is to be deployed as the SpinApp of another; its own costs no call."""
        if place != (function.namespace, function.app_name):
            owner = await self.other_owner(place, function.id)
            if owner is not None:
                raise taken(place, owner, field=field)

    async def check_unowned(self, place: Place) -> None:
        """InvalidInputError where an image is to be deployed for no function as the SpinApp of one."""
        owner = await self.other_owner(place, "")
        if owner is not None:
            message = f"The SpinApp {place} is that of {owner}; name it as functionId."
            raise InvalidInputError(message, field="appName", details={"functionId": owner})

    async def other_owner(self, place: Place, function_id: str) -> str | None:
        """The other function whose place it is; one that is gone is none, and its claim goes too."""
        owner = claimed_by = await self._dynamo.places.owner_of(place)
        if claimed_by is None:
            owner = await self._labelled(place)
        if owner is None or owner == function_id:
            return None
        if await self._dynamo.functions.get(owner) is not None:
            return owner
        if claimed_by is not None:
            await self._dynamo.places.give_up(claimed_by, place)
        return None

    async def _labelled(self, place: Place) -> str | None:
        try:
            return await self._get_spinapp_owner(place.namespace, place.app_name)
        except KubernetesError as error:
            logger.warning("whose SpinApp %s is could not be asked: %s", place, error)
            return None
