"""Wrong values are refused, with words that name them: misspelt names, wrong types, contradictions."""

from typing import Any

import pytest

from tests.helm.chart import Helm, RefusedError, render

pytestmark = pytest.mark.ci

HELMS: tuple[Helm, ...] = ("helm3", "helm4")
BOTH = pytest.mark.parametrize("helm", HELMS)

TYPOS: dict[str, dict[str, Any]] = {
    "replica": {"replica": 3},
    "repo": {"image": {"repo": "example.com/gateway"}},
    "DRAIN_TIMEOUT": {"settings": {"DRAIN_TIMEOUT": 30}},
    "drainTimeoutS": {"settings": {"drainTimeoutS": 30}},
    "request": {"resources": {"request": {"cpu": "1"}}},
    "cpus": {"resources": {"requests": {"cpus": "1"}}},
    "targetCPU": {"autoscaling": {"targetCPU": 70}},
    "minAvailable": {"podDisruptionBudget": {"minAvailable": 1}},
    "iamRole": {"serviceAccount": {"iamRole": "arn:aws:iam::123456789012:role/gateway"}},
    "ports": {"service": {"ports": [80]}},
    "hosts": {"ingress": {"hosts": ["api.example.com"]}},
    "redis": {"networkPolicy": {"egress": {"redis": {}}}},
    "cidr": {"networkPolicy": {"egress": {"aws": {"cidr": "10.0.0.0/8"}}}},
    "podSelectors": {"networkPolicy": {"ingress": {"from": [{"podSelectors": {}}]}}},
    "rows": {"migrate": {"rows": 5}},
    "values": {"extraEnv": [{"name": "A", "values": "b"}]},
    "efect": {"tolerations": [{"efect": "NoSchedule"}]},
    "clusterRole": {"rbac": {"clusterRole": True}},
}
"""A misspelt name, and the values that have it."""
WRONG: dict[str, dict[str, Any]] = {
    "replicas": {"replicas": 0},
    "maxSurge": {"maxSurge": 0},
    "image.tag": {"image": {"tag": 1.2}},
    "image.digest": {"image": {"digest": "sha256:abc"}},
    "settings.PORT": {"settings": {"PORT": "8000"}},
    "settings.BUILD_LEASE_S": {"settings": {"BUILD_LEASE_S": 4}},
    "settings.LOG_LEVEL": {"settings": {"LOG_LEVEL": "debug"}},
    "settings.EXPLORER": {"settings": {"EXPLORER": "false"}},
    "settings.CORS_ORIGINS": {"settings": {"CORS_ORIGINS": "https://console.example.com"}},
    "settings.CORS_ORIGINS.0": {"settings": {"CORS_ORIGINS": ["console.example.com"]}},
    "settings.FUNCTION_NAMESPACES": {"settings": {"FUNCTION_NAMESPACES": []}},
    "settings.LOKI_SERVICE_URL": {"settings": {"LOKI_SERVICE_URL": "loki:3100"}},
    "serviceAccount.roleArn": {"serviceAccount": {"roleArn": "blue-faas-gateway"}},
    "podDisruptionBudget.maxUnavailable": {"podDisruptionBudget": {"maxUnavailable": 0}},
    "service.type": {"service": {"type": "LoadBalancer"}},
    "ingress.idleTimeoutSeconds": {"ingress": {"idleTimeoutSeconds": 4000}},
    "ingress.host": {"ingress": {"host": "https://api.example.com"}},
    "podLabels.team": {"podLabels": {"team": 7}},
    "resources.requests.memory": {"resources": {"requests": {"memory": "256MB"}}},
    "migrate.enabled": {"migrate": {"enabled": "yes"}},
}
"""Where a value of the wrong type or out of its range is, and the values that have it."""
CONTRADICTIONS: dict[str, dict[str, Any]] = {
    "image.repository is not set: no public registry has this image": {"image": {"repository": ""}},
    "settings.LOKI_SERVICE_URL is not set, and there is no Secret in secretNames that could hold it": {
        "settings": {"LOKI_SERVICE_URL": ""}
    },
    "extraEnv has LOG_LEVEL, which is a setting: it belongs below settings": {
        "extraEnv": [{"name": "LOG_LEVEL", "value": "DEBUG"}]
    },
    "podLabels has app.kubernetes.io/name: the Service and the Deployment find their pods by the chart's own": {
        "podLabels": {"app.kubernetes.io/name": "other"}
    },
    "serviceAccount.create is false: serviceAccount.name has to name an account that exists": {
        "serviceAccount": {"create": False, "roleArn": ""}
    },
    "serviceAccount.roleArn is set and serviceAccount.create is false: annotate mine where it is made": {
        "serviceAccount": {"create": False, "name": "mine"}
    },
    "terminationGracePeriodSeconds is 35: it has to be above the 35 s that preStopSeconds and "
    "settings.DRAIN_TIMEOUT_S take together": {"terminationGracePeriodSeconds": 35},
    "terminationGracePeriodSeconds is 60: it has to be above the 136 s that preStopSeconds and "
    "settings.DRAIN_TIMEOUT_S take together": {
        "terminationGracePeriodSeconds": 60,
        "settings": {"DRAIN_TIMEOUT_S": 120.5},
    },
    "autoscaling.minReplicas is 13, above autoscaling.maxReplicas, which is 12": {
        "autoscaling": {"minReplicas": 13}
    },
    "autoscaling.enabled is true, and neither autoscaling.cpuPercent nor autoscaling.memoryPercent is set": {
        "autoscaling": {"cpuPercent": None, "memoryPercent": None}
    },
    "autoscaling.cpuPercent is a share of resources.requests.cpu, which is not set": {
        "resources": {"requests": {"cpu": None}}
    },
    "ingress.enabled is true, and ingress.host is not set": {"ingress": {"host": ""}},
    "ingress.targetType is instance: service.type has to be NodePort": {"ingress": {"targetType": "instance"}},
    "ingress.annotations has alb.ingress.kubernetes.io/load-balancer-attributes, which the chart makes: see "
    "ingress.loadBalancerAttributes": {
        "ingress": {"annotations": {"alb.ingress.kubernetes.io/load-balancer-attributes": "a=b"}}
    },
    "ingress.loadBalancerAttributes has idle_timeout.timeout_seconds, which is ingress.idleTimeoutSeconds": {
        "ingress": {"loadBalancerAttributes": {"idle_timeout.timeout_seconds": "60"}}
    },
    "ingress.certificateArn is set, and ingress.tls is false": {"ingress": {"tls": False}},
    "service.nodePort is set: service.type has to be NodePort": {"service": {"nodePort": 30080}},
    "networkPolicy.egress.loki.to is not set, and settings.LOKI_SERVICE_URL does not name a Service with its "
    "namespace": {"settings": {"LOKI_SERVICE_URL": "http://10.0.0.7:3100"}},
}
"""What the production's values are refused with when these are on top of them."""


@BOTH
@pytest.mark.parametrize("name", TYPOS)
def test_misspelt_names_are_refused(helm: Helm, name: str) -> None:
    """Each map takes the names that the chart knows, and Helm says which one it does not know."""
    with pytest.raises(RefusedError) as refused:
        render(helm, "minimal", values=TYPOS[name])
    words = {
        "helm3": f"Additional property {name} is not allowed",
        "helm4": f"additional properties '{name}' not allowed",
    }
    assert words[helm] in str(refused.value)


@BOTH
@pytest.mark.parametrize("path", WRONG)
def test_wrong_values_are_refused(helm: Helm, path: str) -> None:
    """Types and ranges are the code's own: what it would not start with is not installed."""
    with pytest.raises(RefusedError) as refused:
        render(helm, "minimal", values=WRONG[path])
    place = {"helm3": f"- {path}: ", "helm4": f"at '/{path.replace('.', '/')}"}
    assert place[helm] in str(refused.value)


@BOTH
@pytest.mark.parametrize("sentence", CONTRADICTIONS)
def test_contradictions_are_refused(helm: Helm, sentence: str) -> None:
    """Values that are right by themselves and wrong together are named in a sentence of their own."""
    with pytest.raises(RefusedError) as refused:
        render(helm, "production", values=CONTRADICTIONS[sentence])
    assert sentence in str(refused.value).splitlines()


@BOTH
def test_all_contradictions_are_said_at_once(helm: Helm) -> None:
    """A first install without values is told everything that it needs."""
    with pytest.raises(RefusedError) as refused:
        render(helm)
    said = [line for line in str(refused.value).splitlines() if " is not set" in line]
    assert [line.partition(" ")[0] for line in said] == [
        "image.repository",
        "settings.BUILDER_SERVICE_URL",
        "settings.LOKI_SERVICE_URL",
        "settings.PROMETHEUS_SERVICE_URL",
    ]


@BOTH
def test_secrets_may_hold_what_is_needed(helm: Helm) -> None:
    """A URL with a password is in a Secret, and not asked for twice."""
    values = {"settings": {"LOKI_SERVICE_URL": ""}, "secretNames": ["blue-loki"]}
    assert render(helm, "minimal", values=values)
