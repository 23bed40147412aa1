"""Leaving places: a SpinApp that its function does not need (any more) is deleted, and the place is others' then.

A place that can't be left is still listed as the function's, so that its next deploy or its deletion tries again.
"""

import logging
from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError, KubernetesError
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo.places import PlaceTable

DeleteSpinApp = Callable[[str, str], Awaitable[None]]
"""Of a namespace and a name."""

logger = logging.getLogger(__name__)


class Places:
    """Leaves places of functions."""

    def __init__(self, table: PlaceTable, delete_spinapp: DeleteSpinApp) -> None:
        self.table = table
        self._delete_spinapp = delete_spinapp

    async def delete(self, function_id: str, place: Place) -> bool:
        """Delete a function's SpinApp and keep the place; False where Kubernetes refuses, which it would again.

        An API that does not answer is raised, so that the step is repeated. What another function has claimed is
        that one's: there is nothing to delete.
        """
        if await self.table.owner_of(place) not in {None, function_id}:
            return True
        try:
            await self._delete_spinapp(place.namespace, place.app_name)
        except KubernetesError as error:
            if error.retryable:
                raise
            logger.warning("the SpinApp %s, which is not needed any more, is still there: %s", place, error)
            return False
        return True

    async def leave(self, function_id: str, place: Place) -> None:
        """Delete a function's SpinApp and give the place up; errors are `delete`'s."""
        if await self.delete(function_id, place):
            await self.table.give_up(function_id, place)

    async def leave_all_but(self, function_id: str, kept: Place | None, *, required: bool = True) -> None:
        """Leave all places that a function is listed for but one; errors are `delete`'s.

        What is not required stays listed where it can't be done now.
        """
        for place, may_run in (await self.table.list_of_function(function_id)).items():
            if place == kept:
                continue
            if not may_run:
                await self.table.give_up(function_id, place)
            else:
                await (self.leave if required else self.try_to_leave)(function_id, place)

    async def try_to_leave(self, function_id: str, place: Place) -> None:
        """Leave a place if that is possible now; it stays listed otherwise."""
        try:
            await self.leave(function_id, place)
        except GatewayError as error:
            logger.warning("the SpinApp %s of %s may be there still: %s", place, function_id, error)
