"""Deploying: a function's stored source as a build of its own, or an image that is there already."""

from dataclasses import replace
from urllib.parse import urlsplit

from gateway.builds.archive import name_app
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.journal import BuildJournal
from gateway.builds.pipeline import default_tag, to_deployment
from gateway.builds.poller import BuildPoller
from gateway.builds.states import first_step
from gateway.errors import ConflictError, NotFoundError
from gateway.records.builds import BuildKind, BuildRecord, DeploymentRecord, DeployRequest, DeploySpec
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord, FunctionStatus
from gateway.services import build_inputs as inputs
from gateway.services.ids import new_build_id
from gateway.services.validation import check_function_id
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.deployments import new_deployment_id

CLUSTER_SUFFIX = ".svc.cluster.local"


class DeploymentService:
    """The mutations that deploy."""

    def __init__(
        self,
        *,
        dynamo: Dynamo,
        builder: Builder,
        journal: BuildJournal,
        poller: BuildPoller,
        endpoints: EndpointSearch,
        clock: Clock,
        namespaces: tuple[str, ...],
        registry_url: str | None,
    ) -> None:
        self._dynamo = dynamo
        self._builder = builder
        self._journal = journal
        self._poller = poller
        self._endpoints = endpoints
        self._clock = clock
        self._namespaces = namespaces
        self._registry_url = registry_url

    async def deploy_function(
        self,
        function_id: str,
        *,
        namespace: str,
        enable_autoscaling: bool = True,
        replicas: int | None = None,
        use_spot: bool = True,
        cpu_limit: str | None = None,
        memory_limit: str | None = None,
        cpu_request: str | None = None,
        memory_request: str | None = None,
    ) -> BuildRecord:
        """Store a build of kind DEPLOY, which the gateway carries to its end from then on.

        The function's memory is the limit unless one is given. ConflictError (details: buildId) while another
        deploy of the function is under way.
        """
        check_function_id(function_id)
        spec = DeploySpec(
            app_name="",
            namespace=inputs.check_namespace(namespace, self._namespaces),
            enable_autoscaling=enable_autoscaling,
            replicas=replicas,
            use_spot=use_spot,
            cpu_limit=cpu_limit,
            memory_limit=memory_limit,
            cpu_request=cpu_request,
            memory_request=memory_request,
        )
        inputs.check_resources(spec)
        function = await self._require(function_id)
        spec = replace(
            spec,
            app_name=self._app_name(function),
            memory_limit=memory_limit or f"{function.memory}Mi",
            revision=function.revision,
            failure_status=_failure_status(function),
        )
        build = await self._journal.create(self._new_build(function, spec))
        self._poller.follow(build, fresh=True)
        return build

    async def deploy_spin_app(self, request: DeployRequest) -> DeploymentRecord:
        """Deploy an image; for a function it is stored, and a missing endpoint is sought in the background.

        Without a function nothing is stored, and the deployment's id is `namespace/app`.
        """
        inputs.check_namespace(request.namespace, self._namespaces)
        inputs.check_image_ref(request.image_ref)
        inputs.check_resources(request)
        inputs.check_placement(request)
        request = replace(request, app_name=inputs.check_app_name(request.app_name))
        if request.enable_autoscaling:
            request = replace(request, replicas=None)
        if request.function_id is None:
            result = await self._builder.deploy(request)
            return to_deployment(
                result,
                deployment_id=f"{result.namespace}/{result.app_name}",
                workspace_id=None,
                function_id=None,
                image_url=request.image_ref,
                now=self._clock(),
            )
        return await self._deploy_image(request, check_function_id(request.function_id))

    async def _deploy_image(self, request: DeployRequest, function_id: str) -> DeploymentRecord:
        function = await self._require(function_id)
        if function.active_build_id is not None:
            message = f"Another deploy of {function_id} is under way: build {function.active_build_id}."
            raise ConflictError(message, details={"buildId": function.active_build_id})
        request = replace(request, app_name=request.app_name or self._app_name(function))
        result = await self._builder.deploy(request)
        now = self._clock()
        deployment = to_deployment(
            result,
            deployment_id=new_deployment_id(function_id, now),
            workspace_id=function.workspace_id,
            function_id=function_id,
            image_url=request.image_ref,
            now=now,
        )
        await self._dynamo.deployments.create(deployment, function.workspace_id, function_id)
        if deployment.endpoint is None:
            self._endpoints.start(replace(request, app_name=result.app_name), deployment)
        return deployment

    async def _require(self, function_id: str) -> FunctionRecord:
        function = await self._dynamo.functions.get(function_id)
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="functionId")
        return function

    def _new_build(self, function: FunctionRecord, spec: DeploySpec) -> BuildRecord:
        build_id, now = new_build_id(), self._clock()
        step = first_step(BuildKind.DEPLOY, now)
        return BuildRecord(
            id=build_id,
            workspace_id=function.workspace_id,
            kind=BuildKind.DEPLOY,
            status=step.status,
            app_name=spec.app_name,
            created_at=now,
            updated_at=now,
            function_id=function.id,
            expected_image=f"{self._registry_url}:{default_tag(build_id)}" if self._registry_url else None,
            steps=(step,),
            deploy=spec,
        )

    def _app_name(self, function: FunctionRecord) -> str:
        """The name a function was deployed as, by this gateway or its predecessor, or a new one."""
        if function.app_name is not None:
            return function.app_name
        host = urlsplit(function.invocation_url or "").hostname or ""
        app, _, namespace = host.removesuffix(CLUSTER_SUFFIX).partition(".")
        deployed = host.endswith(CLUSTER_SUFFIX) and namespace in self._namespaces
        return app if deployed else name_app(function.name, function.id)


def _failure_status(function: FunctionRecord) -> FunctionStatus:
    """What the function becomes when the deploy fails: what ran before is still up."""
    if function.last_deployed is None and function.invocation_url is None:
        return FunctionStatus.FAILED
    return FunctionStatus.DISABLED if function.status is FunctionStatus.DISABLED else FunctionStatus.ACTIVE
