"""Deploys of images that are there already, and where a function's SpinApps are."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway.records.builds import DeploySpec
from gateway.records.hosts import DNS_LABEL

_LABEL = DNS_LABEL.pattern
_SPINAPP_HOST = re.compile(rf"(?P<app>{_LABEL})\.(?P<namespace>{_LABEL})\.svc\.cluster\.local")


class Place(NamedTuple):
    """Where a SpinApp is."""

    namespace: str
    app_name: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read `namespace/app`."""
        namespace, _, app_name = text.partition("/")
        return cls(namespace, app_name)

    @classmethod
    def of_url(cls, url: str, namespaces: Collection[str]) -> "Place | None":
        """The SpinApp that a function's URL leads to, with a scheme or without; None outside of the namespaces."""
        try:
            host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
        except ValueError:
            return None
        found = _SPINAPP_HOST.fullmatch(host)
        return cls(found["namespace"], found["app"]) if found and found["namespace"] in namespaces else None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.app_name}"


class HoldTakenError(Exception):
    """The builder is being asked to deploy the function at this moment, by somebody else."""


class DeployOverError(Exception):
    """A deploy of an image has been followed by another deploy, or its function is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Who may ask the builder to deploy a function, and until when nobody else may."""

    by: str
    """The id of a build or of an image's deploy, and of the process that carries it: `id@process`."""
    until: datetime
    first: bool = False
    """Whether it is an image's first deploy, which bars every other; a search for an endpoint does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDeploy:
    """A deploy of an image to a function that is not finished: all that a replica needs to go on with it."""

    id: str
    workspace_id: str
    function_id: str
    image_url: str
    spec: DeploySpec
    started_at: datetime
    carried_until: datetime
    """Nobody else goes on with it before."""
    is_new_place: bool = True
    """Whether the function is not there yet: a deploy that is refused leaves nothing behind then."""
    times_carried: int = 1
    """How many replicas had it."""
    is_abandoned: bool = False
    """The builder has not answered, and it is not made again; where its function is deleted, its SpinApp goes."""
    deployment_id: str | None = None
    """Stored after the builder's first answer; from then on an endpoint is sought."""

    holder: str = ""
    """What this process holds the function as; it is not stored."""

    @property
    def place(self) -> Place:
        """Where it is deployed."""
        return Place(self.spec.namespace, self.spec.app_name)
