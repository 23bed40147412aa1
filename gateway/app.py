"""The composition root: the application is put together here, of what wiring.py opens; lifespan closes it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.builds.running import BuildLoops
from gateway.records.clock import Clock, system_clock
from gateway.records.origins import ANY, AllowedOrigins
from gateway.services.cancellations import CancellationService
from gateway.services.deletions import DeletionService
from gateway.services.deployments import DeploymentService
from gateway.services.execution_feed import ExecutionFeed
from gateway.services.functions import FunctionService
from gateway.services.health import HealthService
from gateway.services.invocations import InvocationService
from gateway.services.places import PlaceChecks
from gateway.services.rollbacks import RollbackService
from gateway.services.sources import StoredSources
from gateway.services.spinapps import SpinApps
from gateway.services.starts import BuildStartService
from gateway.services.workspaces import WorkspaceService
from gateway.settings import Settings
from gateway.upstream.loki import LokiTail
from gateway.web.errors import http_error
from gateway.web.explorer import explorer_page, explorer_routes
from gateway.web.former_invoke import FormerInvokeRoute, former_invoke_route
from gateway.web.health import health_routes
from gateway.web.hosts import OwnHostsMiddleware
from gateway.web.invoke import InvokeMiddleware, InvokeRoute
from gateway.web.sdl import sdl_route
from gateway.wiring import Builds, Upstreams, make_builds, open_upstreams
from schema.context import Resources
from schema.engine import GatewaySchema
from schema.root import build_schema
from schema.transport.uploads import UploadTurns
from schema.transport.view import GraphQLView

MAX_POLLER_AGE_S = 60.0
"""A round begins every 5 s at the latest; a minute without one means that the loop has died."""
CORS_HEADERS = ("Content-Type", "Graphql-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With")
CORS_MAX_AGE_S = 600


class Gateway:
    """The running gateway: an ASGI application for /graphql, and what the probes ask."""

    def __init__(self) -> None:
        self.view: GraphQLView | None = None
        self.invoke_route: InvokeRoute | None = None
        self.former_invoke_route: FormerInvokeRoute | None = None
        self.upstreams: Upstreams | None = None
        self.loops: BuildLoops | None = None

    @asynccontextmanager
    async def running(
        self, settings: Settings, schema: GatewaySchema, *, base_url: str, draining: asyncio.Event, clock: Clock
    ) -> AsyncIterator[None]:
        """Open the upstreams, make what is served of them, and carry builds meanwhile."""
        async with AsyncExitStack() as stack:
            self.upstreams = await open_upstreams(settings, clock, stack)
            builds = make_builds(settings, self.upstreams, clock)
            self.loops = builds.loops
            resources = _make_resources(settings, self.upstreams, builds, clock, base_url=base_url)
            stack.push_async_callback(resources.invocations.finish)
            self.invoke_route = InvokeRoute(resources.invocations, draining)
            self.former_invoke_route = FormerInvokeRoute(resources.invocations, settings.max_body_bytes)
            self.view = GraphQLView(
                schema,
                resources,
                max_body_bytes=settings.max_body_bytes,
                max_upload_bytes=settings.max_upload_bytes,
                upload_turns=UploadTurns(),
                allowed_origins=AllowedOrigins(settings.cors_origins),
                draining=draining,
                explorer=explorer_page if settings.explorer else None,
            )
            loops = {"the execution feed": resources.execution_feed.run}
            async with builds.loops.running(draining, drain_timeout_s=settings.drain_timeout_s, others=loops):
                yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the GraphQL endpoint."""
        if self.view is None:
            raise RuntimeError("the application's lifespan was not entered")
        await self.view(scope, receive, send)

    async def invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a call of a function."""
        if self.invoke_route is None:
            raise RuntimeError("the application's lifespan was not entered")
        await self.invoke_route(scope, receive, send)

    async def former_invoke(self, request: Request) -> Response:
        """Serve a call of a function as the former backend did."""
        if self.former_invoke_route is None:
            raise RuntimeError("the application's lifespan was not entered")
        return await self.former_invoke_route(request)

    async def check_dynamodb(self) -> None:
        """Ask DynamoDB for the table."""
        if self.upstreams is not None:
            await self.upstreams.dynamo.table.check()

    def poller_age_s(self) -> float:
        """Seconds since the last sign of life of what carries builds."""
        return self.loops.age_s if self.loops is not None else 0.0


def create_app(
    settings: Settings,
    *,
    base_url: str,
    draining: asyncio.Event,
    clock: Clock = system_clock,
    allowed_hosts: Collection[str] = (),
) -> Starlette:
    """Make the application; nothing is opened before its lifespan is entered.

    `base_url` is where people reach it; when `draining` is set, event streams end. With `allowed_hosts`, requests
    that name another host are refused.
    """
    schema, gateway = build_schema(introspection=settings.introspection), Gateway()
    return Starlette(
        lifespan=lambda _: gateway.running(settings, schema, base_url=base_url, draining=draining, clock=clock),
        routes=_make_routes(gateway, settings, schema),
        exception_handlers={HTTPException: http_error},
        middleware=_make_middleware(gateway, settings, allowed_hosts),
    )


def _make_routes(gateway: Gateway, settings: Settings, schema: GatewaySchema) -> list[BaseRoute]:
    return [
        Route("/graphql", gateway),
        WebSocketRoute("/graphql", gateway),
        *(explorer_routes() if settings.explorer else ()),
        former_invoke_route(gateway.former_invoke),
        sdl_route(_text_of(schema) if settings.introspection else None),
        *health_routes(gateway.check_dynamodb, gateway.poller_age_s, max_poller_age_s=MAX_POLLER_AGE_S),
    ]


def _make_middleware(gateway: Gateway, settings: Settings, allowed_hosts: Collection[str]) -> list[Middleware]:
    """What requests go through, in this order."""
    origins = AllowedOrigins(settings.cors_origins)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=(ANY,) if origins.are_any else (),
        allow_origin_regex=origins.pattern,
        allow_methods=("GET", "POST"),
        allow_headers=CORS_HEADERS,
        max_age=CORS_MAX_AGE_S,
    )
    hosts = [Middleware(OwnHostsMiddleware, hosts=allowed_hosts)] if allowed_hosts else []
    # Functions have CORS of their own.
    return [*hosts, Middleware(InvokeMiddleware, invoke=gateway.invoke), cors]


def schema_text() -> str:
    """The schema in the definition language, as it is published."""
    return _text_of(build_schema())


def _text_of(schema: GatewaySchema) -> str:
    return schema.as_str() + "\n"


def _make_resources(
    settings: Settings, upstreams: Upstreams, builds: Builds, clock: Clock, *, base_url: str
) -> Resources:
    """Make the services, and name what resolvers may use."""
    dynamo, sources, journal = upstreams.dynamo, upstreams.sources, builds.journal
    spinapps = SpinApps(upstreams.kubernetes, dynamo.places, settings.function_namespaces)
    return Resources(
        dynamo=dynamo,
        sources=StoredSources(dynamo, sources),
        loki=upstreams.loki,
        tails=LokiTail(settings.loki_service_url, clock=clock),
        prometheus=upstreams.prometheus,
        workspaces=WorkspaceService(dynamo, clock),
        functions=FunctionService(
            dynamo, sources, upstreams.functions, clock, max_code_bytes=settings.max_code_bytes
        ),
        deletions=DeletionService(dynamo, sources, spinapps, journal, clock),
        invocations=InvocationService(dynamo, upstreams.functions, clock),
        starts=_make_starts(settings, upstreams, builds, clock),
        deployments=_make_deployments(settings, upstreams, builds, spinapps, clock),
        rollbacks=RollbackService(
            dynamo, journal, builds.loops.poller, clock, namespaces=settings.function_namespaces
        ),
        cancellations=CancellationService(
            dynamo, journal, clock, delete_spinapp=upstreams.kubernetes.delete_spinapp
        ),
        health=_make_health(upstreams),
        feed=builds.feed,
        execution_feed=ExecutionFeed(dynamo.execution_logs, clock),
        base_url=base_url,
    )


def _make_starts(settings: Settings, upstreams: Upstreams, builds: Builds, clock: Clock) -> BuildStartService:
    return BuildStartService(
        dynamo=upstreams.dynamo,
        sources=upstreams.sources,
        builder=upstreams.builder,
        journal=builds.journal,
        poller=builds.loops.poller,
        clock=clock,
        registry_url=settings.registry_url,
        max_upload_bytes=settings.max_upload_bytes,
    )


def _make_deployments(
    settings: Settings, upstreams: Upstreams, builds: Builds, spinapps: SpinApps, clock: Clock
) -> DeploymentService:
    return DeploymentService(
        dynamo=upstreams.dynamo,
        builder=upstreams.builder,
        journal=builds.journal,
        poller=builds.loops.poller,
        endpoints=builds.loops.endpoints,
        find_spinapp=spinapps.find,
        places=PlaceChecks(upstreams.dynamo, upstreams.kubernetes.get_spinapp_owner),
        clock=clock,
        namespaces=settings.function_namespaces,
        registry_url=settings.registry_url,
    )


def _make_health(upstreams: Upstreams) -> HealthService:
    return HealthService(
        {
            "dynamodb": upstreams.dynamo.table.check,
            "s3": upstreams.sources.check,
            "builder": upstreams.builder.check,
            "loki": upstreams.loki.check,
            "prometheus": upstreams.prometheus.check,
            "kubernetes": upstreams.kubernetes.check,
        }
    )
