"""A small schema of functions with nothing but logs and metrics, over the real clients and the stand-ins."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import strawberry

from gateway.local.loki import create_app as create_loki
from gateway.local.prometheus import create_app as create_prometheus
from gateway.local.prometheus.samples import SampleStore
from gateway.records.clock import Clock, system_clock
from gateway.records.logs import LogDirection
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.query_client import open_query_client
from schema.context import Context, Info, Resources
from schema.engine import make_schema
from schema.logs.types import LogConnection, resolve_logs
from schema.metrics.types import FunctionMetrics, resolve_metrics
from tests.observability import serving


@strawberry.type
class Function:
    """A function by its id alone."""

    id: strawberry.ID

    @strawberry.field
    async def logs(
        self,
        info: Info,
        first: int = 100,
        after: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        contains: str | None = None,
        direction: LogDirection = LogDirection.NEWEST_FIRST,
    ) -> LogConnection | None:
        """As the gateway's Function has it."""
        return await resolve_logs(info, self.id, first, after, since, until, contains, direction)

    @strawberry.field
    async def metrics(self, info: Info, window: int = 3600, step: int | None = None) -> FunctionMetrics | None:
        """As the gateway's Function has it."""
        return await resolve_metrics(info, self.id, window, step)


@strawberry.type
class Query:
    """Functions by id."""

    @strawberry.field
    def functions(self, ids: list[strawberry.ID]) -> list[Function]:
        """One function for each id, in their order."""
        return [Function(id=id_) for id_ in ids]


SCHEMA = make_schema(Query)


class Answer(NamedTuple):
    """What came back."""

    functions: Any
    errors: list[dict[str, Any]]
    calls: dict[str, int]
    """Upstream calls, per system."""


@dataclass
class Stage:
    """The schema with its upstreams."""

    context: Context
    loki_url: str

    async def ask(
        self, selection: str, *ids: str, variables: str = "", document: str = "", **values: Any
    ) -> Answer:
        """Select from the functions with these ids; `document` is what else it needs, such as fragments."""
        query = f"query ($ids: [ID!]!{variables}) {{ functions(ids: $ids) {{ {selection} }} }} {document}"
        result = await SCHEMA.execute(query, {"ids": list(ids), **values}, context_value=self.context)
        cost: dict[str, Any] = (result.extensions or {}).get("cost", {})
        return Answer(
            functions=(result.data or {}).get("functions"),
            errors=[cast("dict[str, Any]", error.formatted) for error in result.errors or ()],
            calls=cost.get("upstreamCalls", {}),
        )


@contextlib.asynccontextmanager
async def open_stage(folder: Path, store: SampleStore, clock: Clock = system_clock) -> AsyncIterator[Stage]:
    """Stand-ins, clients and context; Prometheus has the samples of `store`."""
    async with (
        serving(create_loki(folder)) as loki_url,
        serving(create_prometheus(folder, None, store=store)) as prometheus_url,
        open_upstreams(loki_url, prometheus_url, clock) as stage,
    ):
        yield stage


@contextlib.asynccontextmanager
async def open_upstreams(loki_url: str, prometheus_url: str, clock: Clock = system_clock) -> AsyncIterator[Stage]:
    """Clients of these addresses and a context around them."""
    async with (
        open_query_client("loki", loki_url) as loki,
        open_query_client("prometheus", prometheus_url) as prometheus,
    ):
        resources = SimpleNamespace(loki=Loki(loki), prometheus=Prometheus(prometheus, clock=clock))
        yield Stage(Context(cast("Resources", resources)), loki_url)
