"""The PromQL of the functions' metrics, for many functions in one query. No HTTP here."""

import re
from collections.abc import Iterable

from gateway.records.metrics import MetricKind
from gateway.upstream.quoting import quote_go

FUNCTION_LABEL = "label_function_id"
"""How kube-state-metrics calls the pods' label `function_id`."""
UNITS = {MetricKind.CPU: "cores", MetricKind.MEMORY: "bytes", MetricKind.REPLICAS: "pods"}

PER_CONTAINER = {
    MetricKind.CPU: 'rate(container_cpu_usage_seconds_total{container!=""}[1m])',
    MetricKind.MEMORY: 'container_memory_working_set_bytes{container!=""}',
}
"""Without the empty container: that is cAdvisor's sum over the pod, which would count everything twice."""

RE2_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def write_promql(kind: MetricKind, function_ids: Iterable[str]) -> str:
    """One series for each function that has pods, labelled `label_function_id`.

    Pods are joined through `max`, because two kube-state-metrics give each pod's labels twice, which the
    plain join answers with an error.
    """
    ids = "|".join(RE2_SPECIAL.sub(r"\\\g<0>", function_id) for function_id in sorted(set(function_ids)))
    pods = f"max by (namespace, pod, {FUNCTION_LABEL}) (kube_pod_labels{{{FUNCTION_LABEL}=~{quote_go(ids)}}})"
    if kind is MetricKind.REPLICAS:
        return f"count by ({FUNCTION_LABEL}) ({pods})"
    used = f"sum by (namespace, pod) ({PER_CONTAINER[kind]})"
    return f"sum by ({FUNCTION_LABEL}) ({used} * on(namespace, pod) group_left({FUNCTION_LABEL}) {pods})"
