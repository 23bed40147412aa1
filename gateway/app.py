"""The composition root: everything is made and wired here, opened in lifespan, and closed there."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from gateway.builds.carrier import BuildCarrier
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.feed import BuildFeed
from gateway.builds.journal import BuildJournal
from gateway.builds.pipeline import DeployPipeline
from gateway.builds.poller import MAX_ENDPOINT_INTERVAL_S, BuildPoller
from gateway.records.clock import Clock, system_clock
from gateway.services.deployments import DeploymentService
from gateway.services.functions import FunctionService
from gateway.services.health import HealthService
from gateway.services.invocations import InvocationService
from gateway.services.starts import BuildStartService
from gateway.services.workspaces import WorkspaceService
from gateway.settings import Settings
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo, open_dynamo
from gateway.upstream.functions import Functions, open_functions
from gateway.upstream.http import open_http_client
from gateway.upstream.kubernetes import Kubernetes, open_kubernetes
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.s3 import SourceBucket, open_source_bucket
from gateway.web.explorer import explorer_page, explorer_routes
from gateway.web.health import health_routes
from schema.context import Resources
from schema.root import build_schema
from schema.transport.view import GraphQLView

MAX_POLLER_AGE_S = 60.0
"""A round begins every 5 s at the latest; a minute without one means that the loop has died."""
CORS_HEADERS = ("Content-Type", "Graphql-Require-Preflight", "Apollo-Require-Preflight", "X-Requested-With")
CORS_MAX_AGE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstreams:
    """The open clients."""

    dynamo: Dynamo
    sources: SourceBucket
    builder: Builder
    loki: Loki
    prometheus: Prometheus
    kubernetes: Kubernetes
    functions: Functions


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """What carries builds, and what shows them."""

    feed: BuildFeed
    journal: BuildJournal
    poller: BuildPoller
    endpoints: EndpointSearch


class Gateway:
    """The running gateway: an ASGI application for /graphql, and what the probes ask."""

    def __init__(self) -> None:
        self.view: GraphQLView | None = None
        self.upstreams: Upstreams | None = None
        self.poller: BuildPoller | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the GraphQL endpoint."""
        if self.view is None:
            raise RuntimeError("the application's lifespan was not entered")
        await self.view(scope, receive, send)

    async def check_dynamodb(self) -> None:
        """Ask DynamoDB for the table."""
        if self.upstreams is not None:
            await self.upstreams.dynamo.table.check()

    def poller_age_s(self) -> float:
        """Seconds since the poller's last round."""
        return self.poller.age_s if self.poller is not None else 0.0


def create_app(
    settings: Settings, *, base_url: str, draining: asyncio.Event, clock: Clock = system_clock
) -> Starlette:
    """Make the application; nothing is opened before its lifespan is entered.

    `base_url` is where people reach it; when `draining` is set, event streams end.
    """
    schema = build_schema(introspection=settings.introspection)
    gateway = Gateway()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            gateway.upstreams = await _open_upstreams(settings, clock, stack)
            builds = _make_builds(settings, gateway.upstreams, clock)
            gateway.poller = builds.poller
            gateway.view = GraphQLView(
                schema,
                _make_resources(settings, gateway.upstreams, builds, clock, base_url=base_url),
                max_body_bytes=settings.max_body_bytes,
                max_upload_bytes=settings.max_upload_bytes,
                allowed_origins=settings.cors_origins,
                draining=draining,
                explorer=explorer_page if settings.explorer else None,
            )
            async with asyncio.TaskGroup() as background:
                tasks = [background.create_task(run()) for run in (builds.poller.run, builds.endpoints.run)]
                yield
                for task in tasks:
                    task.cancel()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/graphql", gateway),
            WebSocketRoute("/graphql", gateway),
            *(explorer_routes() if settings.explorer else ()),
            *health_routes(gateway.check_dynamodb, gateway.poller_age_s, max_poller_age_s=MAX_POLLER_AGE_S),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=("GET", "POST"),
                allow_headers=CORS_HEADERS,
                max_age=CORS_MAX_AGE_S,
            )
        ],
    )


def schema_text() -> str:
    """The schema in the definition language, as it is published."""
    return build_schema().as_str() + "\n"


async def _open_upstreams(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Upstreams:
    """Open one client for each system; the stack closes them."""
    dynamo = open_dynamo(
        region=settings.aws_region,
        endpoint_url=settings.dynamodb_endpoint_url,
        table_name=settings.dynamodb_table_name,
        log_retention_days=settings.log_retention_days,
        clock=clock,
    )
    sources = open_source_bucket(
        region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
    )
    functions = open_functions(
        allowed_hosts=settings.invocation_allowed_hosts, proxy_url=settings.invocation_proxy_url
    )
    enter = stack.enter_async_context
    return Upstreams(
        dynamo=await enter(dynamo),
        sources=await enter(sources),
        builder=Builder(await enter(open_http_client("builder", settings.builder_service_url))),
        loki=Loki(await enter(open_http_client("loki", settings.loki_service_url)), clock=clock),
        prometheus=Prometheus(
            await enter(open_http_client("prometheus", settings.prometheus_service_url)), clock=clock
        ),
        kubernetes=await enter(open_kubernetes(settings.kubernetes_api_url)),
        functions=await enter(functions),
    )


def _make_builds(settings: Settings, upstreams: Upstreams, clock: Clock) -> Builds:
    """Make what carries builds, and what shows them."""
    dynamo = upstreams.dynamo
    feed = BuildFeed(dynamo.builds)
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    journal = BuildJournal(dynamo.builds, feed, owner=owner, lease_s=settings.build_lease_s, clock=clock)
    pipeline = DeployPipeline(
        builder=upstreams.builder,
        journal=journal,
        get_function=dynamo.functions.get,
        read_source=upstreams.sources.read_source,
        registry_url=settings.registry_url,
        clock=clock,
    )
    carrier = BuildCarrier(
        builds=dynamo.builds,
        builder=upstreams.builder,
        journal=journal,
        pipeline=pipeline,
        timeout_s=settings.build_timeout_s,
        clock=clock,
    )
    poller = BuildPoller(
        carrier,
        feed,
        interval_s=settings.build_poll_interval_s,
        concurrency=settings.build_poll_concurrency,
    )
    endpoints = EndpointSearch(
        builder=upstreams.builder,
        deployments=dynamo.deployments,
        get_function=dynamo.functions.get,
        interval_s=min(settings.build_poll_interval_s, MAX_ENDPOINT_INTERVAL_S),
    )
    return Builds(feed=feed, journal=journal, poller=poller, endpoints=endpoints)


def _make_resources(
    settings: Settings, upstreams: Upstreams, builds: Builds, clock: Clock, *, base_url: str
) -> Resources:
    """Make the services, and name what resolvers may use."""
    dynamo, sources = upstreams.dynamo, upstreams.sources
    functions = FunctionService(
        dynamo,
        sources,
        upstreams.kubernetes,
        upstreams.functions,
        clock,
        max_code_bytes=settings.max_code_bytes,
    )
    checks = {
        "dynamodb": dynamo.table.check,
        "s3": sources.check,
        "builder": upstreams.builder.check,
        "loki": upstreams.loki.check,
        "prometheus": upstreams.prometheus.check,
        "kubernetes": upstreams.kubernetes.check,
    }
    return Resources(
        dynamo=dynamo,
        sources=sources,
        loki=upstreams.loki,
        prometheus=upstreams.prometheus,
        workspaces=WorkspaceService(dynamo, sources, functions, clock),
        functions=functions,
        invocations=InvocationService(dynamo, upstreams.functions, clock),
        starts=BuildStartService(
            dynamo=dynamo,
            sources=sources,
            builder=upstreams.builder,
            journal=builds.journal,
            poller=builds.poller,
            clock=clock,
            registry_url=settings.registry_url,
            max_upload_bytes=settings.max_upload_bytes,
        ),
        deployments=DeploymentService(
            dynamo=dynamo,
            builder=upstreams.builder,
            journal=builds.journal,
            poller=builds.poller,
            endpoints=builds.endpoints,
            clock=clock,
            namespaces=settings.function_namespaces,
            registry_url=settings.registry_url,
        ),
        health=HealthService(checks),
        feed=builds.feed,
        base_url=base_url,
    )
