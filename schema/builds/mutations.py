"""Starting builds and deploying."""

from typing import Annotated

import strawberry

from schema.builds.inputs import (
    CancelBuildInput,
    DeployFunctionInput,
    DeploySpinAppInput,
    RollbackFunctionInput,
    ScaffoldSpinAppInput,
    StartBuildAndPushInput,
    StartBuildInput,
    StartPushInput,
    given,
    to_upload,
)
from schema.builds.payloads import (
    CancelBuildPayload,
    DeploySpinAppPayload,
    ScaffoldSpinAppPayload,
    StartBuildPayload,
)
from schema.builds.types import Build, Deployment
from schema.context import Info
from schema.functions.loaders import FunctionByIdLoader


@strawberry.type
class BuildMutations:
    """The mutations of builds and deployments."""

    @strawberry.mutation(
        description="Build a source. Answers once the builder has accepted it; what it refuses is BUILDER_ERROR "
        "and a FAILED build. Where no answer comes, the build may have begun all the same: see the workspace's "
        "builds."
    )
    async def start_build(
        self, info: Info, input: Annotated[StartBuildInput, strawberry.argument(description="What to build.")]
    ) -> StartBuildPayload:
        """Start a build."""
        record = await info.context.resources.starts.start_build(
            workspace_id=input.workspace_id,
            upload=to_upload(input.file),
            function_id=given(input.function_id),
            app_name=given(input.app_name),
        )
        return StartBuildPayload(build=Build.from_record(record))

    @strawberry.mutation(
        description="Build a source and push its image. Answers once the builder has accepted it; what it refuses "
        "is BUILDER_ERROR and a FAILED build. Where no answer comes, the build may have begun all the same: see "
        "the workspace's builds."
    )
    async def start_build_and_push(
        self,
        info: Info,
        input: Annotated[StartBuildAndPushInput, strawberry.argument(description="What to build, and where to.")],
    ) -> StartBuildPayload:
        """Start a build with a push."""
        record = await info.context.resources.starts.start_build_and_push(
            workspace_id=input.workspace_id,
            upload=to_upload(input.file),
            function_id=given(input.function_id),
            app_name=given(input.app_name),
            registry_url=given(input.registry_url),
            username=given(input.username),
            password=given(input.password),
            tag=given(input.tag),
        )
        return StartBuildPayload(build=Build.from_record(record))

    @strawberry.mutation(
        description="Deploy an image. Answers after the builder's first answer; a missing endpoint is sought in "
        "the background. Without functionId nothing is stored and the id is namespace/app. While another deploy "
        "of the function is under way it is CONFLICT; `details` names its buildId or imageRef."
    )
    async def deploy_spin_app(
        self,
        info: Info,
        input: Annotated[DeploySpinAppInput, strawberry.argument(description="What to deploy, and how.")],
    ) -> DeploySpinAppPayload:
        """Deploy an image."""
        record = await info.context.resources.deployments.deploy_spin_app(input.to_request())
        function = None
        if record.function_id is not None:
            function = await info.context.loader(FunctionByIdLoader).load(record.function_id)
        return DeploySpinAppPayload(deployment=Deployment.from_record(record, function))

    @strawberry.mutation(
        description="Build, push and deploy a function's stored code as one build of kind DEPLOY, carried through "
        "by the gateway whether or not anyone watches. Answers once the build is stored. While another deploy "
        "of the function is under way it is CONFLICT; `details.buildId` names that, or `details.imageRef`."
    )
    async def deploy_function(
        self,
        info: Info,
        input: Annotated[DeployFunctionInput, strawberry.argument(description="What to deploy, and how.")],
    ) -> StartBuildPayload:
        """Deploy a function."""
        record = await info.context.resources.deployments.deploy_function(
            input.function_id,
            namespace=input.namespace,
            enable_autoscaling=input.enable_autoscaling,
            replicas=given(input.replicas),
            use_spot=input.use_spot,
            cpu_limit=given(input.cpu_limit),
            memory_limit=given(input.memory_limit),
            cpu_request=given(input.cpu_request),
            memory_request=given(input.memory_request),
        )
        return StartBuildPayload(build=Build.from_record(record))

    @strawberry.mutation(
        description="Push the image of a source that was built before. Answers once the builder has accepted it; "
        "what it refuses is BUILDER_ERROR and a FAILED build. Where no answer comes, the build may have begun all "
        "the same: see the workspace's builds."
    )
    async def start_push(
        self,
        info: Info,
        input: Annotated[StartPushInput, strawberry.argument(description="What to push, and where to.")],
    ) -> StartBuildPayload:
        """Start a push."""
        record = await info.context.resources.starts.start_push(
            workspace_id=input.workspace_id,
            registry_url=input.registry_url,
            source_path=input.source_path,
            username=given(input.username),
            password=given(input.password),
            tag=given(input.tag),
        )
        return StartBuildPayload(build=Build.from_record(record))

    @strawberry.mutation(
        description="End a build for the gateway: it is not followed any more and never deploys. The builder may "
        "finish its own work. A finished build is CONFLICT."
    )
    async def cancel_build(
        self, info: Info, input: Annotated[CancelBuildInput, strawberry.argument(description="Which build.")]
    ) -> CancelBuildPayload:
        """Cancel a build."""
        record = await info.context.resources.cancellations.cancel(input.id)
        return CancelBuildPayload(build=Build.from_record(record))

    @strawberry.mutation(
        description="Have a SpinApp manifest made of an image; that it can't be is an answer too."
    )
    async def scaffold_spin_app(
        self, info: Info, input: Annotated[ScaffoldSpinAppInput, strawberry.argument(description="Of what.")]
    ) -> ScaffoldSpinAppPayload:
        """Make a manifest."""
        result = await info.context.resources.deployments.scaffold_spin_app(
            input.image_ref,
            component=given(input.component),
            replicas=input.replicas,
            output_path=given(input.output_path),
        )
        return ScaffoldSpinAppPayload.from_record(result)

    @strawberry.mutation(
        description="Deploy an earlier deployment's image again, as a build of kind ROLLBACK that starts at "
        "DEPLOYING."
    )
    async def rollback_function(
        self,
        info: Info,
        input: Annotated[RollbackFunctionInput, strawberry.argument(description="What to roll back to.")],
    ) -> StartBuildPayload:
        """Roll a function back."""
        record = await info.context.resources.rollbacks.roll_back(input.function_id, input.deployment_id)
        return StartBuildPayload(build=Build.from_record(record))
