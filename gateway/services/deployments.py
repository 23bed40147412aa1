"""Deploying: a function's stored source as a build of its own, or an image that is there already.

A function runs in one place: one that is deployed elsewhere than before is moved, and its former SpinApp goes once
the new one is reached.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.builds.archive import name_app
from gateway.builds.deploys import image_spec, to_deployment
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.handover import default_tag
from gateway.builds.journal import BuildJournal
from gateway.builds.messages import conceal
from gateway.builds.poller import BuildPoller
from gateway.builds.states import first_step
from gateway.errors import BuilderError, NotFoundError, PlaceTakenError
from gateway.records.builder import DeployRequest, DeployResult, ScaffoldResult
from gateway.records.builds import BuildKind, BuildRecord, DeploymentRecord, DeploySpec
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord, FunctionStatus
from gateway.records.image_deploys import ImageDeploy, Place
from gateway.services import build_inputs as inputs
from gateway.services.ids import new_build_id
from gateway.services.places import PlaceChecks, named_place
from gateway.services.validation import check_function_id
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.refusals import under_way

FindSpinApp = Callable[[FunctionRecord], Awaitable[Place | None]]


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
        find_spinapp: FindSpinApp,
        places: PlaceChecks,
        clock: Clock,
        namespaces: tuple[str, ...],
        registry_url: str | None,
    ) -> None:
        self._dynamo = dynamo
        self._builder = builder
        self._journal = journal
        self._poller = poller
        self._endpoints = endpoints
        self._find_spinapp = find_spinapp
        self._places = places
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
        own = await self._own_place(function)
        place = Place(spec.namespace, _app_name(function, own))
        if own is not None and own != place:
            await self._places.check(function, place, field="namespace")
        spec = replace(
            spec,
            app_name=place.app_name,
            memory_limit=memory_limit or f"{function.memory}Mi",
            former=_former(own, place),
            revision=function.revision,
            failure_status=failure_status(function),
        )
        inputs.check_requests(spec)
        build = await self._journal.create(self._new_build(function, spec))
        self._poller.follow(build)
        return build

    async def deploy_spin_app(self, request: DeployRequest) -> DeploymentRecord:
        """Deploy an image; for a function it is stored, and a missing endpoint is sought in the background.

        Without a function nothing is stored, and the deployment's id is `namespace/app`.
        """
        request = replace(
            request,
            namespace=inputs.check_namespace(request.namespace, self._namespaces),
            image_ref=inputs.check_image_ref(request.image_ref),
            app_name=inputs.check_app_name(request.app_name),
        )
        inputs.check_resources(request)
        inputs.check_placement(request)
        if request.enable_autoscaling:
            request = replace(request, replicas=None)
        if request.function_id is None:
            await self._places.check_unowned(
                named_place(request.namespace, request.app_name or _image_name(request))
            )
            result = await self._deploy(request)
            return to_deployment(
                result,
                deployment_id=f"{result.namespace}/{result.app_name}",
                workspace_id=None,
                function_id=None,
                image_url=request.image_ref,
                now=self._clock(),
            )
        return await self._deploy_image(request, check_function_id(request.function_id))

    async def scaffold_spin_app(
        self, image_ref: str, *, component: str | None, replicas: int, output_path: str | None
    ) -> ScaffoldResult:
        """Have a SpinApp manifest made of an image; that it can't be is an answer too."""
        return await self._builder.scaffold(
            inputs.check_image_ref(image_ref),
            component=inputs.check_component(component),
            replicas=inputs.check_replicas(replicas),
            output_path=inputs.check_output_path(output_path),
        )

    async def _deploy_image(self, request: DeployRequest, function_id: str) -> DeploymentRecord:
        function = await self._require(function_id)
        if function.active_build_id is not None:
            raise under_way(function_id, function.active_build_id)
        own = await self._own_place(function)
        place = named_place(request.namespace, request.app_name or _app_name(function, own))
        field = "namespace" if request.app_name is None else "appName"
        if own != place and (own is not None or request.app_name is not None):
            await self._places.check(function, place, field=field)
        now = self._clock()
        deploy = ImageDeploy(
            id=new_build_id(),
            workspace_id=function.workspace_id,
            function_id=function_id,
            image_url=request.image_ref,
            spec=image_spec(request, place, function, former=_former(own, place)),
            started_at=now,
            carried_until=now,
            is_new_place=own != place,
        )
        try:
            return await self._endpoints.deploy(deploy, former=own)
        except PlaceTakenError as error:
            raise PlaceTakenError(error.message, field=field, details=error.details) from error
        except BuilderError as error:
            raise conceal(error, "") from error

    async def _own_place(self, function: FunctionRecord) -> Place | None:
        """Where a function is deployed already; of two that shared a SpinApp before, one is to have its own."""
        place = await self._find_spinapp(function)
        if place is None or function.app_name is not None:
            return place
        return place if await self._places.other_owner(place, function.id) is None else None

    async def _deploy(self, request: DeployRequest) -> DeployResult:
        try:
            return await self._builder.deploy(request)
        except BuilderError as error:
            raise conceal(error, "") from error

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


def _app_name(function: FunctionRecord, own: Place | None) -> str:
    """The name that a function has from its first deploy on, by this gateway or its predecessor, or a new one."""
    if function.app_name is not None:
        return function.app_name
    return name_app(function.name, function.id) if own is None else own.app_name


def _former(own: Place | None, place: Place) -> str | None:
    """`namespace/app` of what a function runs as, where it is deployed elsewhere now."""
    return None if own is None or own == place else str(own)


def _image_name(request: DeployRequest) -> str:
    """What the builder names an app that has no name: the last part of its image's."""
    return request.image_ref.rpartition("/")[2].partition(":")[0].partition("@")[0]


def failure_status(function: FunctionRecord) -> FunctionStatus:
    """What the function becomes when the deploy fails: what ran before is still up."""
    if function.last_deployed is None and function.invocation_url is None:
        return FunctionStatus.FAILED
    return FunctionStatus.DISABLED if function.status is FunctionStatus.DISABLED else FunctionStatus.ACTIVE
