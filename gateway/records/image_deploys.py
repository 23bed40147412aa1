"""Deploys of images that are there already, and where a function's SpinApps are."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from gateway.records.builds import DeploySpec


class Place(NamedTuple):
    """Where a SpinApp is."""

    namespace: str
    app_name: str

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read `namespace/app`."""
        namespace, _, app_name = text.partition("/")
        return cls(namespace, app_name)

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
