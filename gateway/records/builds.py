"""Builds, their steps, and deployments."""

import enum
from dataclasses import dataclass
from datetime import datetime

from gateway.records.functions import FunctionStatus


class BuildKind(enum.Enum):
    """What a build was started to do."""

    BUILD = "build"
    PUSH = "push"
    BUILD_AND_PUSH = "build_and_push"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class BuildStatus(enum.Enum):
    """The states of a build in their order; DONE, FAILED and CANCELLED are final."""

    PENDING = "pending"
    BUILDING = "building"
    PUSHING = "pushing"
    DEPLOYING = "deploying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({BuildStatus.DONE, BuildStatus.FAILED, BuildStatus.CANCELLED})

_SPELLINGS = {
    "running": BuildStatus.BUILDING,
    "completed": BuildStatus.DONE,
    "success": BuildStatus.DONE,
    "error": BuildStatus.FAILED,
    "canceled": BuildStatus.CANCELLED,
    "succeeded": BuildStatus.DONE,
    "failure": BuildStatus.FAILED,
    "queued": BuildStatus.PENDING,
    "in_progress": BuildStatus.BUILDING,
}


def parse_build_status(text: str) -> BuildStatus | None:
    """Read a status as anybody spells it: in any case, the builder's `running` and `completed` too."""
    word = text.strip().lower()
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    try:
        return BuildStatus(word)
    except ValueError:
        return None


class BuildChangedError(Exception):
    """A build's row is no longer at the sequence that a change was made from."""


class LeaseLostError(Exception):
    """A build is carried by another replica by now, or is gone: this one has to let it be."""


class FunctionGoneError(Exception):
    """The function of a build was deleted, or another build holds it by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStepRecord:
    """A status that was entered; entry n of a build belongs to sequence n, counted from 1."""

    status: BuildStatus
    started_at: datetime
    finished_at: datetime | None = None
    duration_ms: float | None = None
    """None while it lasts, and for a phase that passed between two polls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySpec:
    """How a DEPLOY or ROLLBACK build is to be deployed; stored on the build's row, so that any replica can."""

    app_name: str
    namespace: str
    enable_autoscaling: bool
    replicas: int | None
    use_spot: bool
    cpu_limit: str | None = None
    memory_limit: str | None = None
    cpu_request: str | None = None
    memory_request: str | None = None
    service_account: str | None = None
    placement: str | None = None
    """Tolerations and affinity that were given with an image, as JSON."""
    former: str | None = None
    """`namespace/app` of what it ran as, where that is elsewhere: it goes once the new one is reached."""
    revision: int = 0
    """The function's revision that is being deployed."""
    failure_status: FunctionStatus = FunctionStatus.FAILED
    """What the function becomes when the deploy fails: what it was, or FAILED if it never ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """A build's row."""

    id: str
    workspace_id: str
    kind: BuildKind
    status: BuildStatus
    app_name: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    function_id: str | None = None
    builder_task_id: str | None = None
    source_path: str | None = None
    wasm_path: str | None = None
    image_url: str | None = None
    expected_image: str | None = None
    """`registry:tag` as it was asked for: the image's name where the builder names none."""
    error: str | None = None
    sequence: int = 1
    steps: tuple[BuildStepRecord, ...] = ()
    deploy: DeploySpec | None = None
    deployment_id: str | None = None
    owner: str | None = None
    sent_by: str | None = None
    """The attempt that handed it to the builder, noted before the request ends: without one, none did."""
    tag: str | None = None
    """The image's tag that the caller chose."""
    has_credentials: bool = False
    """A registry's credentials came with the call, and are stored nowhere: it can't be handed over again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who carries a build, and until when nobody else may."""

    owner: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveBuild:
    """A build that is not finished, or was lately, as its pointer has it; without a lease it is anybody's."""

    id: str
    workspace_id: str
    lease: Lease | None
    has_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEventRecord:
    """A build as it was right after one of its changes."""

    sequence: int
    status: BuildStatus
    at: datetime
    build: BuildRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment's row."""

    id: str
    workspace_id: str | None
    function_id: str | None
    app_name: str
    namespace: str
    image_url: str
    service_name: str | None
    service_status: str
    endpoint: str | None
    enable_autoscaling: bool
    use_spot: bool
    deployed_at: datetime
    deploy: DeploySpec | None = None
