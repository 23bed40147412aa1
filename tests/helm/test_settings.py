"""Every setting of the gateway can be set by the chart, with the code's type, range and default."""

import json
import re
import subprocess
import sys
import textwrap
from typing import Any, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from gateway import __version__
from gateway.records.builder import REGISTRY
from gateway.settings import Settings
from tests.helm.chart import CHART, ROOT, one, render

FIELDS = {name.upper(): field for name, field in Settings.model_fields.items()}
NEEDED = {"BUILDER_SERVICE_URL", "LOKI_SERVICE_URL", "PROMETHEUS_SERVICE_URL"}
"""The code's defaults are this machine's, where a pod has nothing: the chart asks for them."""
ORIGIN = r"^(\*|https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}|\*))?)$"
NAMESPACE = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
URL = r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$"
REGISTRY_URL = f"^({REGISTRY.pattern})?$"
KEYWORDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "pattern": "pattern",
}
CHECKED_BY_CODE: dict[str, dict[str, Any]] = {
    "LOG_LEVEL": {"enum": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    "CORS_ORIGINS": {"items": {"type": "string", "pattern": ORIGIN}},
    "FUNCTION_NAMESPACES": {"items": {"type": "string", "pattern": NAMESPACE}, "minItems": 1, "uniqueItems": True},
    "PORT": {"minimum": 1024},  # lower ones are root's, and 0 would be another one for each pod
}
"""What is no part of a field's type, and what a pod can't have."""
SET = {
    "HOST": "::",
    "PORT": 8080,
    "PUBLIC_URL": "https://blue.example.com",
    "ENVIRONMENT": 'with "quotes": and #',
    "LOG_LEVEL": "DEBUG",
    "CORS_ORIGINS": ["https://console.example.com", "http://localhost:*"],
    "AWS_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "https://aws.example.com",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.example.com",
    "AWS_ENDPOINT_URL_S3": "https://s3.example.com",
    "DYNAMODB_TABLE_NAME": "blue-staging",
    "S3_BUCKET_NAME": "blue-staging-code",
    "BUILDER_SERVICE_URL": "https://builder.example.com",
    "LOKI_SERVICE_URL": "https://loki.example.com",
    "PROMETHEUS_SERVICE_URL": "http://prometheus.monitoring:9090",
    "KUBERNETES_API_URL": "https://kubernetes.example.com:6443",
    "REGISTRY_URL": "registry.example.com/functions",
    "FUNCTION_NAMESPACES": ["team-a", "team-b"],
    "INVOCATION_ALLOWED_HOSTS": ["*.team-a.svc.cluster.local:80", "functions.example.com:443"],
    "INVOCATION_PROXY_URL": "http://proxy.example.com:3128",
    "BUILD_POLL_INTERVAL_S": 2.5,
    "BUILD_TIMEOUT_S": 1200,
    "BUILD_POLL_CONCURRENCY": 20,
    "BUILD_LEASE_S": 30,
    "DRAIN_TIMEOUT_S": 0,
    "LOG_RETENTION_DAYS": 7,
    "MAX_CODE_BYTES": 2_097_152,
    "MAX_UPLOAD_BYTES": 10_737_418_240,
    "INTROSPECTION": False,
    "EXPLORER": False,
}
"""Each setting with another value than its default; numbers that Helm would write with an exponent among them."""
BASE = {"image": {"repository": "registry.example.com/blue-faas-gateway"}}


def schema_of(name: str, field: FieldInfo) -> dict[str, Any]:
    """What values.schema.json has to say about a setting."""
    schema: dict[str, Any] = {"description": field.description, **_type_of(field.annotation)}
    for rule in field.metadata:
        schema |= {word: getattr(rule, key) for key, word in KEYWORDS.items() if hasattr(rule, key)}
    if name.endswith("_URL") or "_URL_" in name:
        schema["pattern"] = REGISTRY_URL if name == "REGISTRY_URL" else URL
    return schema | CHECKED_BY_CODE.get(name, {})


def _type_of(annotation: Any) -> dict[str, Any]:
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": {"type": "string"}}
    plain = {bool: "boolean", int: "integer", float: "number", str: "string"}
    (type_,) = (kind for kind in get_args(annotation) or (annotation,) if kind is not type(None))
    return {"type": plain[type_]}


def default_of(name: str, field: FieldInfo) -> object:
    """What values.yaml has to have: the code's default, and an empty text where that is nothing."""
    if name in NEEDED or field.default is None:
        return ""
    return list(field.default) if isinstance(field.default, tuple) else field.default


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    """The ConfigMap that the chart makes of settings."""
    data: dict[str, str] = one(render("helm4", values=BASE | {"settings": settings}), "ConfigMap")["data"]
    return data


def read_by_gateway(environment: dict[str, str]) -> dict[str, Any]:
    """What a gateway reads out of this environment and no other."""
    program = "from gateway.settings import load_settings; print(load_settings().model_dump_json())"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.upper(): value for name, value in json.loads(done.stdout).items()}


def test_schema_has_every_setting() -> None:
    """No setting is missing, none is left over, and each has the code's type, range and words."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["properties"]["settings"]["properties"] == {
        name: schema_of(name, field) for name, field in FIELDS.items()
    }


def test_schema_knows_every_name() -> None:
    """Other names are refused in every map but those whose names are the operator's own or Kubernetes'."""

    def open_maps(schema: Any, path: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        found = (
            [path] if schema.get("type") == "object" and schema.get("additionalProperties") is not False else []
        )
        parts = {**schema.get("properties", {}), **schema.get("definitions", {}), "[]": schema.get("items")}
        return found + [name for key, inner in parts.items() for name in open_maps(inner, f"{path}.{key}")]

    schema = json.loads((CHART / "values.schema.json").read_text())
    assert open_maps(schema, "") == [
        ".global",
        ".extraEnv.[].valueFrom",
        ".networkPolicy.egress.extra.[]",
        ".strings",
        ".peer.podSelector",
        ".peer.namespaceSelector",
    ]


def test_values_have_every_setting() -> None:
    """values.yaml has each setting in the code's order, its words above it, with the code's default."""
    text = (CHART / "values.yaml").read_text()
    section = text.partition("\nsettings:\n")[2].partition("\n\n# Secrets")[0]
    lines = [line for line in section.splitlines() if line and not line.startswith("  # --")]
    expected = []
    for name, field in FIELDS.items():
        expected += [f"  # {line}" for line in textwrap.wrap(field.description or "", 112)]
        expected.append(f"  {name}: {json.dumps(default_of(name, field))}")
    assert lines == expected


def test_chart_has_the_gateways_version() -> None:
    """There is one version: the code's."""
    found = re.findall(r'^(version|appVersion): "?([^"\n]+)"?$', (CHART / "Chart.yaml").read_text(), re.MULTILINE)
    assert found == [("version", __version__), ("appVersion", __version__)]


@pytest.mark.ci
def test_pods_get_every_setting() -> None:
    """A gateway reads from the ConfigMap what the values say, numbers, lists and quotes included."""
    assert set(SET) == set(FIELDS)
    assert all(SET[name] != default_of(name, field) for name, field in FIELDS.items())
    assert read_by_gateway(environment_of(SET)) == SET


@pytest.mark.ci
def test_pods_have_the_codes_defaults_when_nothing_is_set() -> None:
    """What is empty is not in the ConfigMap; the rest is what the code would take."""
    needed = {name: f"http://{name.split('_')[0].lower()}.blue" for name in sorted(NEEDED)}
    environment = environment_of(needed)
    empty = {name for name, field in FIELDS.items() if default_of(name, field) in ("", [])} - NEEDED
    assert set(environment) == set(FIELDS) - empty
    assert read_by_gateway(environment) == read_by_gateway(needed)
