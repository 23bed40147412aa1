"""Builds and deployments as the API shows them."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from gateway.records.builds import (
    BuildEventRecord,
    BuildKind,
    BuildRecord,
    BuildStatus,
    BuildStepRecord,
    DeploymentRecord,
)
from gateway.records.functions import FunctionRecord
from schema.builds.loaders import DeploymentByIdLoader
from schema.context import Info
from schema.functions.loaders import FunctionByIdLoader
from schema.node import Node
from schema.pagination import Connection
from schema.workspaces.loaders import WorkspaceByIdLoader

if TYPE_CHECKING:
    from schema.functions.types import Function
    from schema.workspaces.types import Workspace

strawberry.enum(
    BuildKind,
    description="What a build does: BUILD makes the component, PUSH its image, BUILD_AND_PUSH both, DEPLOY all up "
    "to the running function; ROLLBACK deploys an earlier image again.",
)
strawberry.enum(
    BuildStatus,
    description="The phases of a build in their order; DONE, FAILED and CANCELLED are final. A build goes through "
    "the phases of its kind only, and never backwards.",
)


@strawberry.type(description="A status that a build entered.")
class BuildStep:
    """A step of a build."""

    status: BuildStatus = strawberry.field(description="The status.")
    started_at: datetime = strawberry.field(description="When it was entered.")
    finished_at: datetime | None = strawberry.field(description="When it was left; null while it lasts.")
    duration_ms: float | None = strawberry.field(
        description="How long it lasted, in ms; null while it lasts, and where it passed between two polls."
    )

    @classmethod
    def from_record(cls, record: BuildStepRecord) -> "BuildStep":
        """Make the type of a record."""
        return cls(
            status=record.status,
            started_at=record.started_at,
            finished_at=record.finished_at,
            duration_ms=record.duration_ms,
        )


@strawberry.type(description="What was deployed of a function, and when.")
class Deployment:
    """A deployment."""

    id: strawberry.ID = strawberry.field(description="Its id; `namespace/app` where it is not stored.")
    app_name: str = strawberry.field(description="The SpinApp's name, as the Builder Service answered it.")
    namespace: str = strawberry.field(description="The Kubernetes namespace it runs in.")
    image_url: str = strawberry.field(description="The image that runs.")
    service_name: str | None = strawberry.field(description="The Kubernetes service's name.")
    service_status: str = strawberry.field(
        description="What became of the service, in the Builder Service's word: found, pending or not_found."
    )
    endpoint: str | None = strawberry.field(
        description="Where it is reached within the cluster; null until the service is found."
    )
    enable_autoscaling: bool = strawberry.field(description="Whether the number of pods follows the load.")
    use_spot: bool = strawberry.field(description="Whether it may run on spot nodes.")
    deployed_at: datetime = strawberry.field(description="When it was deployed.")
    is_current: bool = strawberry.field(description="True on the one that is running now.")
    record: strawberry.Private[DeploymentRecord]
    function_record: strawberry.Private[FunctionRecord | None]

    @strawberry.field(description="True where rollbackFunction would accept it.")
    def can_rollback(self, info: Info) -> bool:
        """Ask what would refuse it."""
        refusal = info.context.resources.rollbacks.refusal
        return self.function_record is not None and refusal(self.function_record, self.record) is None

    @strawberry.field(description="The function it is of; null where none was named, or once it is deleted.")
    async def function(
        self, info: Info
    ) -> Annotated["Function", strawberry.lazy("schema.functions.types")] | None:
        """Load the function by id."""
        return await _load_function(info, self.record.function_id)

    @classmethod
    def from_record(cls, record: DeploymentRecord, function: FunctionRecord | None) -> "Deployment":
        """Make the type of a record; its function says whether it is the current one."""
        is_current = function is not None and function.current_deployment_id == record.id
        return cls(
            id=strawberry.ID(record.id),
            app_name=record.app_name,
            namespace=record.namespace,
            image_url=record.image_url,
            service_name=record.service_name,
            service_status=record.service_status,
            endpoint=record.endpoint,
            enable_autoscaling=record.enable_autoscaling,
            use_spot=record.use_spot,
            deployed_at=record.deployed_at,
            is_current=is_current,
            record=record,
            function_record=function,
        )


@strawberry.type(description="A build, carried through by the gateway whether or not anyone watches.")
class Build(Node):
    """A build."""

    kind: BuildKind = strawberry.field(description="What it was started to do.")
    status: BuildStatus = strawberry.field(description="Where it is now.")
    is_finished: bool = strawberry.field(description="True once it is DONE, FAILED or CANCELLED.")
    workspace_id: strawberry.ID = strawberry.field(description="The workspace it belongs to.")
    app_name: str = strawberry.field(description="The name of the app that is built.")
    source_path: str | None = strawberry.field(description="Where the source is stored, an `s3://` address.")
    wasm_path: str | None = strawberry.field(description="Where the built component is stored.")
    image_url: str | None = strawberry.field(description="The image that was pushed.")
    error: str | None = strawberry.field(
        description="Why it failed, in the builder's own words, with a hint where one is known; null otherwise."
    )
    created_at: datetime = strawberry.field(description="When it was started.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    finished_at: datetime | None = strawberry.field(description="When it finished; null before.")
    sequence: int = strawberry.field(
        description="Grows by one with every change; what a subscription resumes from."
    )
    steps: list[BuildStep] = strawberry.field(
        description="One entry for each status entered, in order; entry n belongs to sequence n."
    )
    record: strawberry.Private[BuildRecord]

    @strawberry.field(description="The workspace it belongs to; null once it is deleted.")
    async def workspace(
        self, info: Info
    ) -> Annotated["Workspace", strawberry.lazy("schema.workspaces.types")] | None:
        """Load the workspace by id."""
        from schema.workspaces.types import Workspace  # the two types refer to each other

        record = await info.context.loader(WorkspaceByIdLoader).load(self.record.workspace_id)
        return None if record is None else Workspace.from_record(record)

    @strawberry.field(
        description="Set when the build was started for a function; null otherwise, and once it is deleted."
    )
    async def function(
        self, info: Info
    ) -> Annotated["Function", strawberry.lazy("schema.functions.types")] | None:
        """Load the function by id."""
        return await _load_function(info, self.record.function_id)

    @strawberry.field(
        description="What it deployed; null for builds that do not deploy, and before they are done."
    )
    async def deployment(self, info: Info) -> Deployment | None:
        """Load the deployment, and its function, which says whether it is the current one."""
        deployment_id, function_id = self.record.deployment_id, self.record.function_id
        if deployment_id is None or function_id is None:
            return None
        deployment, function = await asyncio.gather(
            info.context.loader(DeploymentByIdLoader).load((self.record.workspace_id, deployment_id)),
            info.context.loader(FunctionByIdLoader).load(function_id),
        )
        return None if deployment is None else Deployment.from_record(deployment, function)

    @classmethod
    def from_record(cls, record: BuildRecord) -> "Build":
        """Make the type of a record."""
        return cls(
            id=strawberry.ID(record.id),
            kind=record.kind,
            status=record.status,
            is_finished=record.status.is_final,
            workspace_id=strawberry.ID(record.workspace_id),
            app_name=record.app_name,
            source_path=record.source_path,
            wasm_path=record.wasm_path,
            image_url=record.image_url,
            error=record.error,
            created_at=record.created_at,
            updated_at=record.updated_at,
            finished_at=record.finished_at,
            sequence=record.sequence,
            steps=[BuildStep.from_record(step) for step in record.steps],
            record=record,
        )


@strawberry.type(description="A page of builds.")
class BuildConnection(Connection[Build]):
    """A page of builds."""


@strawberry.type(description="A page of deployments.")
class DeploymentConnection(Connection[Deployment]):
    """A page of deployments."""


@strawberry.type(description="A change of a build.")
class BuildEvent:
    """A change of a build."""

    sequence: int = strawberry.field(
        description="The build's sequence after the change; pass the last one as `after`."
    )
    status: BuildStatus = strawberry.field(description="The status that was entered.")
    at: datetime = strawberry.field(description="When it was entered.")
    build: Build = strawberry.field(description="The build as it was right after the change.")

    @classmethod
    def from_record(cls, record: BuildEventRecord) -> "BuildEvent":
        """Make the type of a record."""
        return cls(
            sequence=record.sequence, status=record.status, at=record.at, build=Build.from_record(record.build)
        )


async def _load_function(info: Info, function_id: str | None) -> "Function | None":
    from schema.functions.types import Function  # the two types refer to each other

    if function_id is None:
        return None
    record = await info.context.loader(FunctionByIdLoader).load(function_id)
    return None if record is None else Function.from_record(record, info.context)
