"""How the gateway is reached and whom it reaches: the load balancer, its own address, the network policy."""

import json
from typing import Any

import pytest

from gateway.server import KEEP_ALIVE_S, WS_PING_INTERVAL_S
from gateway.services.validation import TIMEOUT_S
from tests.helm.chart import CHART, SETS, Manifest, one, render, rendered

pytestmark = pytest.mark.ci

ALB = "alb.ingress.kubernetes.io/"


def test_load_balancer_waits_for_the_longest_function() -> None:
    """Longer than a function may take and a socket may be silent, shorter than the gateway keeps connections."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    most_s = schema["properties"]["ingress"]["properties"]["idleTimeoutSeconds"]["maximum"]
    annotations = one(rendered("production"), "Ingress")["metadata"]["annotations"]
    attributes = annotations[ALB + "load-balancer-attributes"].split(",")
    assert f"idle_timeout.timeout_seconds={most_s}" in attributes
    assert max(TIMEOUT_S) < most_s < KEEP_ALIVE_S
    assert most_s > 2 * WS_PING_INTERVAL_S


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, None),
        ({"ingress": {"enabled": True, "host": "api.example.com"}}, "https://api.example.com"),
        ({"ingress": {"enabled": True, "host": "api.example.com", "tls": False}}, "http://api.example.com"),
        ({"ingress": {"enabled": False, "host": "api.example.com"}}, None),
        (
            {
                "ingress": {"enabled": True, "host": "origin.example.com"},
                "settings": {"PUBLIC_URL": "https://cdn.example.com"},
            },
            "https://cdn.example.com",
        ),
    ],
)
def test_public_url_is_what_the_ingress_serves(values: dict[str, Any], url: str | None) -> None:
    """The host is written once; only where something stands in front of it PUBLIC_URL is set too."""
    assert one(render("helm4", "minimal", values=values), "ConfigMap")["data"].get("PUBLIC_URL") == url


@pytest.mark.parametrize("name", SETS)
def test_ports_say_their_protocol(name: str) -> None:
    """It is a part of the key that lists of ports are merged by: left out, server-side apply makes two of one."""

    def ports(value: object) -> list[Manifest]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        found = [port for part in inner for port in ports(part)]
        listed = value.get("ports") if isinstance(value, dict) else None
        return [*found, *(listed or [])]

    found = ports(list(rendered(name)))
    assert found
    assert [port for port in found if port.get("protocol") not in {"TCP", "UDP"}] == []


def test_networks_are_named_by_the_settings() -> None:
    """Namespaces and ports of Services come from the URLs; the pods' own ports are added."""
    rules = one(rendered("production"), "NetworkPolicy")["spec"]["egress"]
    reached: dict[str, set[int]] = {}
    for rule in rules:
        for peer in rule["to"]:
            labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
            names = peer.get("namespaceSelector", {}).get("matchExpressions", [{}])[0].get("values", [])
            for namespace in [*labels.values(), *names]:
                reached.setdefault(namespace, set()).update(port["port"] for port in rule["ports"])
    assert reached == {
        "kube-system": {53},
        "blue": {8001},
        "monitoring": {80, 8080, 9090},
        "blue-functions": {80},
    }


def test_instance_metadata_is_out_of_reach() -> None:
    """169.254.169.254 hands out the node's credentials on port 80, where no rule leads to addresses at large."""
    rules = one(rendered("production"), "NetworkPolicy")["spec"]["egress"]
    blocks = [
        peer["ipBlock"]["cidr"]
        for rule in rules
        for peer in rule["to"]
        if "ipBlock" in peer and 80 in [port["port"] for port in rule["ports"]]
    ]
    assert blocks == ["169.254.170.23/32"]
