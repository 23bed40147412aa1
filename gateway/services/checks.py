"""What the doctor tries of each system, and what to do where that fails; trying it is doctor.py's."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from gateway.errors import GatewayError
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.probe import TableProbe
from gateway.upstream.kubernetes import Kubernetes
from gateway.upstream.loki import Loki
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.s3 import SourceBucket

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
METRICS = (
    ("container_cpu_usage_seconds_total", 'container_cpu_usage_seconds_total{container!=""}', "cAdvisor"),
    ("container_memory_working_set_bytes", 'container_memory_working_set_bytes{container!=""}', "cAdvisor"),
    (
        "kube_pod_labels with function_id",
        'kube_pod_labels{label_function_id!=""}',
        "kube-state-metrics with --metric-labels-allowlist=pods=[function_id,faas]",
    ),
)
RIGHTS = (
    ("get", "core.spinkube.dev", "spinapps"),
    ("delete", "core.spinkube.dev", "spinapps"),
    ("delete", "autoscaling", "horizontalpodautoscalers"),
)
"""Verb, group and resource of what the gateway does in the functions' namespaces."""


class Doubt(NamedTuple):
    """What somebody should look at; it may be as it should."""

    detail: str
    is_reachable: bool = True


Attempt = Callable[[], Awaitable[Doubt | None]]
"""Raises what is wrong, and answers what is doubtful."""


class Check(NamedTuple):
    """Something to try."""

    system: str
    what: str
    attempt: Attempt
    advice: str


def _plain(attempt: Callable[[], Awaitable[None]]) -> Attempt:
    async def tried() -> None:
        await attempt()

    return tried


def table_checks(table: TableProbe) -> list[Check]:
    """Each kind of request that the gateway makes of the table."""
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


def bucket_checks(bucket: SourceBucket) -> list[Check]:
    """The same of the bucket."""
    exists = "create the bucket, or correct S3_BUCKET_NAME; allow s3:ListBucket on it"
    objects = "allow s3:PutObject, GetObject and DeleteObject on its objects, s3:ListBucket on the bucket"
    return [
        Check("s3", "bucket", _plain(bucket.check), exists),
        Check("s3", "write, read and delete an object", _plain(bucket.probe), objects),
    ]


def service_checks(builder: Builder, loki: Loki, prometheus: Prometheus) -> list[Check]:
    """Whether they answer."""
    return [
        Check("builder", "health", _plain(builder.check), WHEN_NOT_REACHED["builder"]),
        Check("loki", "labels", _plain(loki.check), WHEN_NOT_REACHED["loki"]),
        Check("prometheus", "query", _plain(prometheus.check), WHEN_NOT_REACHED["prometheus"]),
    ]


def metric_checks(prometheus: Prometheus) -> list[Check]:
    """Whether the series are there that functions' metrics are made of."""

    def present(selector: str) -> Attempt:
        async def count() -> Doubt | None:
            found = await prometheus.count_series(selector)
            return None if found else Doubt("no series now: no function runs, or")

        return count

    return [
        Check("prometheus", what, present(selector), f"have Prometheus scrape {source}")
        for what, selector, source in METRICS
    ]


def kubernetes_checks(kubernetes: Kubernetes, namespaces: Sequence[str]) -> list[Check]:
    """The functions' namespaces, and what may be done in them."""
    if not kubernetes.is_configured:

        async def absent() -> Doubt:
            return Doubt("no Kubernetes API: SpinApps of deleted functions stay", is_reachable=False)

        return [Check("kubernetes", "API", absent, "run in the cluster, or set KUBERNETES_API_URL")]
    return [check for namespace in namespaces for check in _namespace_checks(kubernetes, namespace)]


def _namespace_checks(kubernetes: Kubernetes, namespace: str) -> list[Check]:
    async def is_there() -> Doubt | None:
        known = await kubernetes.has_namespace(namespace)
        if known is False:
            raise GatewayError(f"There is no namespace {namespace}.")
        return None if known else Doubt("namespaces can't be read here")

    async def is_allowed(verb: str, group: str, resource: str) -> Doubt | None:
        allowed = await kubernetes.is_allowed(namespace, verb, group, resource)
        if allowed is False:
            raise GatewayError(f"Forbidden: {verb} {resource} in {namespace}.")
        return None if allowed else Doubt("the API does not say")

    create = "create it, or correct FUNCTION_NAMESPACES"
    checks = [Check("kubernetes", f"namespace {namespace}", is_there, create)]
    for verb, group, resource in RIGHTS:
        what = f"{verb} {resource} in {namespace}"
        role = f"give the service account a Role in {namespace} with {verb} on {resource}.{group}"
        checks.append(Check("kubernetes", what, partial(is_allowed, verb, group, resource), role))
    return checks
