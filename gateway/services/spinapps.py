"""Which SpinApp is a function's, and its deletion; deploying is deployments.py's and the builds'."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from gateway.errors import KubernetesError
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo.places import PlaceTable
from gateway.upstream.kubernetes import Kubernetes

CLUSTER_SUFFIX = ".svc.cluster.local"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""A DNS label: it becomes a part of a path of the Kubernetes API."""


def address_of(function: FunctionRecord, namespaces: tuple[str, ...]) -> tuple[str, str] | None:
    """The app and the namespace that a function's URL names, where that is an address of ours; None where not."""
    try:
        host = urlsplit(function.invocation_url or "").hostname or ""
    except ValueError:
        return None
    app, _, namespace = host.removesuffix(CLUSTER_SUFFIX).partition(".")
    ours = host.endswith(CLUSTER_SUFFIX) and namespace in namespaces and _LABEL.fullmatch(app)
    return (app, namespace) if ours else None


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
                listed[Place(found[1], found[0])] = True
            for place, may_run in listed.items():
                if may_run and await self._places.owner_of(place) in {None, function.id}:
                    await self._kubernetes.delete_spinapp(place.namespace, place.app_name)
                await self._places.give_up(function.id, place)

    async def find(self, function: FunctionRecord) -> tuple[str, str] | None:
        """The name that it was deployed as: stored by this gateway, or in the URL that its predecessor stored.

        Anybody may set a URL, that of another function included: such an app has to be labelled as this
        function's, or to be named like it.
        """
        if function.app_name is not None and function.namespace is not None:
            return function.app_name, function.namespace
        place = address_of(function, self._namespaces)
        if place is None:
            return None
        app, namespace = place
        owner = await self._kubernetes.get_spinapp_owner(namespace, app)
        named = app == "".join(character for character in function.name.lower() if character not in " -_")
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
