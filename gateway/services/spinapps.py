"""Which SpinApp is a function's, and its deletion; deploying is deployments.py's and the builds'."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import KubernetesError
from gateway.records.builder import clean_name
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo.places import PlaceTable
from gateway.upstream.kubernetes import Kubernetes


class SpinApps:
    """Deletes the SpinApps of functions; `namespaces` are those that functions are deployed in."""

    def __init__(self, kubernetes: Kubernetes, places: PlaceTable, namespaces: tuple[str, ...]) -> None:
        self._kubernetes = kubernetes
        self._places = places
        self._namespaces = namespaces

    async def delete_of(self, function: FunctionRecord) -> None:
        """Delete a function's SpinApps and give its places up; what is gone already is fine.

        No call where it was never deployed. KubernetesError where one could not be deleted: it says that the
        function is still there.
        """
        with _named(function):
            listed = await self._places.list_of_function(function.id)
            found = await self.find(function)
            if found is not None:
                listed[found] = True
            for place, may_run in listed.items():
                if may_run and await self._places.owner_of(place) in {None, function.id}:
                    await self._kubernetes.delete_spinapp(place.namespace, place.app_name)
                await self._places.give_up(function.id, place)

    async def find(self, function: FunctionRecord) -> Place | None:
        """Where it was deployed: stored by this gateway, or in the URL that its predecessor stored.

        Anybody may set a URL, that of another function included: such an app has to be labelled as this
        function's, or to be named like it.
        """
        if function.app_name is not None and function.namespace is not None:
            return Place(function.namespace, function.app_name)
        place = Place.of_url(function.invocation_url or "", self._namespaces)
        if place is None:
            return None
        owner = await self._kubernetes.get_spinapp_owner(place.namespace, place.app_name)
        named = place.app_name == clean_name(function.name).lower()
        return place if owner == function.id or (owner is None and named) else None


@contextmanager
def _named(function: FunctionRecord) -> Iterator[None]:
    try:
        yield
    except KubernetesError as error:
        raise KubernetesError(
            f"{function.id} was not deleted, because its SpinApp could not be: {error.message}",
            retryable=error.retryable,
        ) from error
