"""Opening the clients of the upstream systems, and making what carries builds with them; app.py wires the rest."""

import os
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.builds.carrier import BuildCarrier
from gateway.builds.endpoints import EndpointSearch
from gateway.builds.feed import BuildFeed
from gateway.builds.handover import Handover
from gateway.builds.image_deploys import ImageDeployer
from gateway.builds.journal import BuildJournal
from gateway.builds.lease import Leases
from gateway.builds.lookout import Lookout
from gateway.builds.pipeline import DeployPipeline
from gateway.builds.places import Places
from gateway.builds.poller import LAST_STEP_S, MAX_ENDPOINT_INTERVAL_S, BuildPoller
from gateway.builds.running import BuildLoops
from gateway.records.clock import Clock
from gateway.services.sources import StoredSources
from gateway.settings import Settings
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo, open_dynamo
from gateway.upstream.functions import Functions, open_functions
from gateway.upstream.http import open_http_client
from gateway.upstream.kubernetes import IN_CLUSTER_URL, Kubernetes, open_kubernetes
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.query_client import open_query_client
from gateway.upstream.s3 import SourceBucket, open_source_bucket


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
    loops: BuildLoops


async def open_upstreams(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Upstreams:
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
        allowed_hosts=settings.invocation_allowed_hosts,
        upstreams=_upstream_urls(settings),
        proxy_url=settings.invocation_proxy_url,
    )
    enter = stack.enter_async_context
    return Upstreams(
        dynamo=await enter(dynamo),
        sources=await enter(sources),
        builder=Builder(await enter(open_http_client("builder", settings.builder_service_url))),
        loki=Loki(await enter(open_query_client("loki", settings.loki_service_url)), clock=clock),
        prometheus=Prometheus(
            await enter(open_query_client("prometheus", settings.prometheus_service_url)), clock=clock
        ),
        kubernetes=await enter(open_kubernetes(settings.kubernetes_api_url)),
        functions=await enter(functions),
    )


def _upstream_urls(settings: Settings) -> list[str]:
    """Where the systems behind the gateway are; functions are never called there."""
    urls = (
        IN_CLUSTER_URL,
        settings.kubernetes_api_url,
        settings.builder_service_url,
        settings.loki_service_url,
        settings.prometheus_service_url,
        settings.aws_endpoint_url,
        settings.dynamodb_endpoint_url,
        settings.s3_endpoint_url,
        settings.invocation_proxy_url,
    )
    return [url for url in urls if url is not None]


def make_builds(settings: Settings, upstreams: Upstreams, clock: Clock) -> Builds:
    """Make what carries builds, and what shows them."""
    dynamo = upstreams.dynamo
    feed = BuildFeed(dynamo.builds, clock=clock)
    owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    leases = Leases(
        dynamo.builds.leases,
        owner=owner,
        lease_s=settings.build_lease_s,
        max_held_s=settings.build_timeout_s + LAST_STEP_S,
        clock=clock,
    )
    journal = BuildJournal(dynamo.builds, feed, leases)
    places = Places(dynamo.places, upstreams.kubernetes.delete_spinapp)
    pipeline = DeployPipeline(
        builder=upstreams.builder,
        journal=journal,
        get_function=dynamo.functions.get,
        read_source=StoredSources(dynamo, upstreams.sources).read,
        places=places,
        holds=dynamo.holds,
        registry_url=settings.registry_url,
        clock=clock,
    )
    handover = Handover(
        builds=dynamo.builds,
        builder=upstreams.builder,
        journal=journal,
        read_upload=upstreams.sources.read_upload,
        clock=clock,
    )
    carrier = BuildCarrier(
        builds=dynamo.builds,
        builder=upstreams.builder,
        journal=journal,
        leases=leases,
        handover=handover,
        pipeline=pipeline,
        timeout_s=settings.build_timeout_s,
        clock=clock,
    )
    poller = BuildPoller(
        carrier,
        leases,
        interval_s=settings.build_poll_interval_s,
        concurrency=settings.build_poll_concurrency,
    )
    deployer = ImageDeployer(dynamo, builder=upstreams.builder, places=places, clock=clock)
    endpoints = EndpointSearch(
        deployer,
        dynamo.image_deploys,
        clock=clock,
        interval_s=min(settings.build_poll_interval_s, MAX_ENDPOINT_INTERVAL_S),
    )
    lookout = Lookout(dynamo.builds, leases, poller, feed, clock=clock)
    loops = BuildLoops(poller=poller, lookout=lookout, leases=leases, endpoints=endpoints)
    return Builds(feed=feed, journal=journal, loops=loops)
