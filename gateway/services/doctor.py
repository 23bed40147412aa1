"""What stands between this gateway and its work: every system and permission that it needs, tried out.

A permission is tried by using it, on a row and an object of the doctor's own that are removed again. Nothing here
shows an answer's body or a credential: a finding has the error's own message, which names system and operation.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from botocore.exceptions import NoCredentialsError, PartialCredentialsError

from gateway.errors import GatewayError
from gateway.records.clock import system_clock
from gateway.records.health import FindingRecord, Verdict
from gateway.settings import Settings
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.probe import TableProbe
from gateway.upstream.http import open_http_client
from gateway.upstream.kubernetes import Kubernetes, open_kubernetes
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.query_client import open_query_client
from gateway.upstream.s3 import SourceBucket, open_source_bucket

TIMEOUT_S = 10.0
"""Of one check; the SDK's own retries take 6 s where nothing listens."""
MAX_DETAIL_CHARACTERS = 300
"""Of an error; what AWS says of a wrong signature goes on with the signed headers, a session token among them."""
REFUSALS = ("AccessDenied", "UnrecognizedClient", "InvalidClientToken", "ExpiredToken", "InvalidAccessKeyId")
REFUSALS_BY_STATUS = (": 401", ": 403", "status 401", "status 403", "Forbidden")
METRICS = (
    ("container_cpu_usage_seconds_total", 'container_cpu_usage_seconds_total{container!=""}', "cAdvisor"),
    ("container_memory_working_set_bytes", 'container_memory_working_set_bytes{container!=""}', "cAdvisor"),
    (
        "kube_pod_labels with function_id",
        'kube_pod_labels{label_function_id!=""}',
        "kube-state-metrics with --metric-labels-allowlist=pods=[function_id,faas]",
    ),
)
CREDENTIALS = (
    "give the gateway AWS credentials: a role for its service account (IRSA), "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment"
)
AWS_ADDRESS = "see that AWS_REGION is right, that {} is its address where set, and that the network lets calls out"
ADDRESS = "see that it runs and that {} is its address"
WHEN_NOT_REACHED = {
    "dynamodb": AWS_ADDRESS.format("AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_DYNAMODB"),
    "s3": AWS_ADDRESS.format("AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3"),
    "builder": ADDRESS.format("BUILDER_SERVICE_URL"),
    "loki": ADDRESS.format("LOKI_SERVICE_URL"),
    "prometheus": ADDRESS.format("PROMETHEUS_SERVICE_URL"),
    "kubernetes": "see that it runs and that KUBERNETES_API_URL is its address where set",
}
"""What to do about a system that does not answer, whatever was asked of it."""
DELETED = (("core.spinkube.dev", "spinapps"), ("autoscaling", "horizontalpodautoscalers"))


class Check(NamedTuple):
    """Something to try: it raises what is wrong, and answers what somebody should look at."""

    system: str
    what: str
    attempt: Callable[[], Awaitable[str | None]]
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Systems:
    table: TableProbe
    bucket: SourceBucket
    builder: Builder
    loki: Loki
    prometheus: Prometheus
    kubernetes: Kubernetes


async def examine(settings: Settings) -> list[FindingRecord]:
    """Try everything, each system's checks one after the other and all systems at once; in a fixed order."""
    async with _opened(settings) as systems:
        groups = (
            _table_checks(systems.table),
            _bucket_checks(systems.bucket),
            _service_checks(systems),
            _metric_checks(systems.prometheus),
            _kubernetes_checks(systems.kubernetes, settings.function_namespaces),
        )
        found = await asyncio.gather(*(_try_all(checks) for checks in groups))
    return [finding for findings in found for finding in findings]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[_Systems]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        client = await enter(open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url))
        bucket = open_source_bucket(
            region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
        )
        yield _Systems(
            table=TableProbe(client, settings.dynamodb_table_name, system_clock),
            bucket=await enter(bucket),
            builder=Builder(await enter(open_http_client("builder", settings.builder_service_url))),
            loki=Loki(await enter(open_query_client("loki", settings.loki_service_url))),
            prometheus=Prometheus(await enter(open_query_client("prometheus", settings.prometheus_service_url))),
            kubernetes=await enter(open_kubernetes(settings.kubernetes_api_url)),
        )


def _plain(attempt: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[str | None]]:
    async def tried() -> None:
        await attempt()

    return tried


def _table_checks(table: TableProbe) -> list[Check]:
    migrate = "run `blue-gateway migrate`"
    rights = "allow dynamodb:{} on the table{}"
    reads = rights.format("GetItem, BatchGetItem and Query", "")
    writes = rights.format("PutItem, UpdateItem, DeleteItem, BatchWriteItem and ConditionCheckItem", "")
    return [
        Check("dynamodb", "table with index GSI1", _plain(table.check_form), migrate),
        Check("dynamodb", "execution logs expire", _plain(table.check_ttl), migrate),
        Check("dynamodb", "read rows", _plain(table.read), reads),
        Check("dynamodb", "query GSI1", _plain(table.read_index), rights.format("Query", "'s index/GSI1")),
        Check("dynamodb", "write and delete a row", _plain(table.write), writes),
    ]


def _bucket_checks(bucket: SourceBucket) -> list[Check]:
    exists = "create the bucket, or correct S3_BUCKET_NAME; allow s3:ListBucket on it"
    objects = "allow s3:PutObject, GetObject and DeleteObject on its objects, s3:ListBucket on the bucket"
    return [
        Check("s3", "bucket", _plain(bucket.check), exists),
        Check("s3", "write, read and delete an object", _plain(bucket.probe), objects),
    ]


def _service_checks(systems: _Systems) -> list[Check]:
    return [
        Check("builder", "health", _plain(systems.builder.check), WHEN_NOT_REACHED["builder"]),
        Check("loki", "labels", _plain(systems.loki.check), WHEN_NOT_REACHED["loki"]),
        Check("prometheus", "query", _plain(systems.prometheus.check), WHEN_NOT_REACHED["prometheus"]),
    ]


def _metric_checks(prometheus: Prometheus) -> list[Check]:
    def present(selector: str) -> Callable[[], Awaitable[str | None]]:
        async def count() -> str | None:
            return None if await prometheus.count_series(selector) else "no series now: no function runs, or"

        return count

    return [
        Check("prometheus", what, present(selector), f"have Prometheus scrape {source}")
        for what, selector, source in METRICS
    ]


def _kubernetes_checks(kubernetes: Kubernetes, namespaces: Sequence[str]) -> list[Check]:
    if not kubernetes.is_configured:

        async def absent() -> str:
            return "no Kubernetes API: SpinApps of deleted functions stay"

        return [Check("kubernetes", "API", absent, "run in the cluster, or set KUBERNETES_API_URL")]
    return [check for namespace in namespaces for check in _namespace_checks(kubernetes, namespace)]


def _namespace_checks(kubernetes: Kubernetes, namespace: str) -> list[Check]:
    async def is_there() -> str | None:
        known = await kubernetes.has_namespace(namespace)
        if known is False:
            raise GatewayError(f"There is no namespace {namespace}.")
        return None if known else "namespaces can't be read here"

    async def is_deletable(group: str, resource: str) -> str | None:
        allowed = await kubernetes.may_delete(namespace, group, resource)
        if allowed is False:
            raise GatewayError(f"Forbidden: delete {resource} in {namespace}.")
        return None if allowed else "the API does not say"

    create = "create it, or correct FUNCTION_NAMESPACES"
    checks = [Check("kubernetes", f"namespace {namespace}", is_there, create)]
    for group, resource in DELETED:
        what = f"delete {resource} in {namespace}"
        role = f"give the service account a Role in {namespace} with delete on {resource}.{group}"
        checks.append(Check("kubernetes", what, partial(is_deletable, group, resource), role))
    return checks


async def _try_all(checks: Sequence[Check]) -> list[FindingRecord]:
    return [await _try(check) for check in checks]


async def _try(check: Check) -> FindingRecord:
    started = time.perf_counter()
    detail: str | None = None
    advice = check.advice
    verdict, reachable = Verdict.WRONG, True
    allowed: bool | None = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            detail = await check.attempt()
        verdict = Verdict.FINE if detail is None else Verdict.UNSURE
        allowed = True if detail is None else None
    except TimeoutError:
        detail, reachable = f"no answer within {TIMEOUT_S:g} s", False
        advice = WHEN_NOT_REACHED[check.system]
    except GatewayError as error:
        detail = _with_cause(error).partition("The Canonical String")[0][:MAX_DETAIL_CHARACTERS]
        reachable = "did not answer" not in detail
        refused = any(word in detail for word in (*REFUSALS, *REFUSALS_BY_STATUS))
        allowed = False if reachable and refused else None
        if isinstance(error.__cause__, NoCredentialsError | PartialCredentialsError):
            advice = CREDENTIALS
        elif not reachable:
            advice = WHEN_NOT_REACHED[check.system]
    latency_ms = (time.perf_counter() - started) * 1000
    return FindingRecord(
        system=check.system,
        what=check.what,
        verdict=verdict,
        reachable=reachable,
        allowed=allowed,
        latency_ms=round(latency_ms, 1),
        detail=detail,
        advice=None if verdict is Verdict.FINE else advice,
    )


def _with_cause(error: GatewayError) -> str:
    """The error's message, and what it comes from where the message does not say that itself."""
    cause = str(error.__cause__ or "").strip()
    if not cause or cause in error.message:
        return error.message
    return f"{error.message.removesuffix('.')} ({cause.removesuffix('.')})"
