"""The keys of the one table: which row lives where. What a row holds is said beside its noun's reader."""

from datetime import datetime
from typing import NamedTuple

from gateway.records.clock import KST
from gateway.records.image_deploys import Place

INDEX = "GSI1"
INDEX_PK = "GSI1PK"
INDEX_SK = "GSI1SK"

ALL_WORKSPACES = "WORKSPACES"
ACTIVE_BUILDS = "BUILDS#ACTIVE"
ACTIVE_IMAGE_DEPLOYS = "IMAGES#ACTIVE"


class Key(NamedTuple):
    """A row's primary key."""

    pk: str
    sk: str

    def as_attributes(self) -> dict[str, dict[str, str]]:
        """The key as DynamoDB takes it."""
        return {"PK": {"S": self.pk}, "SK": {"S": self.sk}}

    def as_item(self) -> dict[str, str]:
        """The key as part of a row."""
        return {"PK": self.pk, "SK": self.sk}


def workspace_key(workspace_id: str) -> Key:
    """A workspace's own row."""
    return Key(f"WS#{workspace_id}", "METADATA")


def workspace_figures_key(workspace_id: str) -> Key:
    """The rolling figures of all functions of a workspace."""
    return Key(f"WS#{workspace_id}", "WSSTATS")


def function_key(workspace_id: str, function_id: str) -> Key:
    """A function's row."""
    return Key(f"WS#{workspace_id}", f"FN#{function_id}")


def function_pointer_key(function_id: str) -> Key:
    """The row that leads from a function's id to its workspace."""
    return Key(f"FN#{function_id}", "METADATA")


def function_figures_key(workspace_id: str, function_id: str) -> Key:
    """A function's rolling figures."""
    return Key(f"WS#{workspace_id}", f"FNSTATS#{function_id}")


def execution_log_key(function_id: str, timestamp: datetime, log_id: str) -> Key:
    """One invocation of a function."""
    return Key(f"FN#{function_id}", f"LOG#{stamp(timestamp)}#{log_id}")


def build_key(workspace_id: str, build_id: str) -> Key:
    """A build's row; the Builder Service's own rows have the same form."""
    return Key(f"WS#{workspace_id}", f"BUILD#{build_id}")


def build_pointer_key(build_id: str) -> Key:
    """The row that leads from a build's id to its workspace, and says who polls it."""
    return Key(f"BUILD#{build_id}", "METADATA")


def function_build_key(function_id: str, created_at: datetime, build_id: str) -> Key:
    """A build in the list of its function's builds."""
    return Key(f"FN#{function_id}", f"BUILD#{stamp(created_at)}#{build_id}")


def deployment_key(workspace_id: str, function_id: str, deployed_at: datetime) -> Key:
    """A deployment of a function."""
    return Key(f"WS#{workspace_id}", f"DEPLOY#{function_id}#{stamp(deployed_at)}")


def image_deploy_key(function_id: str) -> Key:
    """The unfinished deploy of an image to a function; there is one at most."""
    return Key(f"FN#{function_id}", "IMAGE")


def hold_key(function_id: str) -> Key:
    """Who may ask the builder to deploy a function."""
    return Key(f"FN#{function_id}", "HOLD")


def place_key(place: Place) -> Key:
    """Which function a SpinApp is of."""
    return Key(f"APP#{place.namespace}#{place.app_name}", "METADATA")


def function_place_key(function_id: str, place: Place) -> Key:
    """A place in the list of where a function's SpinApps may be."""
    return Key(f"FN#{function_id}", f"APP#{place.namespace}#{place.app_name}")


def stamp(time: datetime) -> str:
    """A time as it is stored: ISO 8601 in +09:00 with microseconds, so that keys sort."""
    return time.astimezone(KST).isoformat(timespec="microseconds")
