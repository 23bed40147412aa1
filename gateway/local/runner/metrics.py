"""What Prometheus would scrape of the cluster (cAdvisor and kube-state-metrics), as text exposition."""

from collections.abc import Iterable

from gateway.local.runner.deployments import Deployment

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAMILIES = (
    ("container_cpu_usage_seconds_total", "counter", "CPU time in seconds."),
    ("container_memory_working_set_bytes", "gauge", "Resident memory in bytes."),
    ("kube_pod_labels", "gauge", "Labels of the pods."),
)


def expose(deployments: Iterable[Deployment]) -> str:
    """The three families the gateway's queries are made of, a series for each pod."""
    samples: dict[str, list[str]] = {name: [] for name, _, _ in _FAMILIES}
    for deployment in deployments:
        app = deployment.app
        for pod in app.pods:
            cpu_s, rss_bytes = deployment.usage.of(pod)
            where = {"namespace": app.namespace, "pod": pod}
            labels = _labels({**where, "container": app.name})
            samples["container_cpu_usage_seconds_total"].append(f"{labels} {cpu_s:.6f}")
            samples["container_memory_working_set_bytes"].append(f"{labels} {rss_bytes}")
            pod_labels = {f"label_{name}": value for name, value in app.labels.items()}
            samples["kube_pod_labels"].append(f"{_labels({**where, **pod_labels})} 1")
    lines = []
    for name, kind, description in _FAMILIES:
        lines += [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{sample}" for sample in samples[name]]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    pairs = (f'{_label_name(name)}="{_escape(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _label_name(name: str) -> str:
    """Kubernetes allows `.`, `/` and `-`, Prometheus does not; kube-state-metrics writes `_` for them."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
