"""What goes to the Builder Service and comes from it, in its own words."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.records.builds import BuildStatus

REGISTRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._/-]+[a-z0-9]+)*)?")
"""A registry with its repository, without a scheme."""
MAX_REGISTRY_CHARACTERS = 512

_DROPPED = str.maketrans("", "", " -_")


def clean_name(name: str) -> str:
    """A name as the builder makes it an app's and a module's; its /deploy lowers it too."""
    return name.translate(_DROPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuilderTask:
    """A task as the Builder Service answers it, with its many spellings already understood."""

    task_id: str
    status: BuildStatus
    wasm_path: str | None = None
    image_url: str | None = None
    error: str | None = None
    app_name: str | None = None
    """In the list of a workspace's tasks only, as `created_at` is."""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTask:
    """The Builder Service's 202."""

    task_id: str
    source_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """The body of the Builder Service's /deploy."""

    namespace: str
    image_ref: str
    app_name: str | None = None
    function_id: str | None = None
    enable_autoscaling: bool = True
    replicas: int | None = None
    use_spot: bool = True
    service_account: str | None = None
    cpu_limit: str | None = None
    memory_limit: str | None = None
    cpu_request: str | None = None
    memory_request: str | None = None
    custom_tolerations: Any = None
    custom_affinity: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployResult:
    """The Builder Service's answer to /deploy."""

    app_name: str
    namespace: str
    service_name: str | None
    service_status: str
    endpoint: str | None
    enable_autoscaling: bool
    use_spot: bool
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaffoldResult:
    """The Builder Service's answer to /scaffold; a failure is an answer too."""

    success: bool
    yaml_content: str | None
    file_path: str | None
    error: str | None
