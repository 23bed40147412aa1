"""What the chart's pods run, run for real and in Helm's order: the migration, the gateway, `helm test`."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.aws import as_role
from tests.gateway import NOBODY
from tests.helm.chart import ROOT, Manifest, one, render, render_texts
from tests.serving import serving

pytestmark = pytest.mark.ci

PROGRAMS = {"blue-gateway": [sys.executable, "-m", "gateway"], "python": [sys.executable]}
"""The image's programs, as they are here."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a pod runs."""

    command: list[str]
    environment: dict[str, str]

    def run(self, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with other addresses than the cluster's."""
        return subprocess.run(
            self.command,
            env=os.environ | self.environment | environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def container_of(manifests: list[Manifest], pod: Mapping[str, Any]) -> Container:
    """The command of a pod's container, with the environment that its ConfigMap gives it."""
    (container,) = pod["spec"]["containers"]
    (program,), arguments = container["command"][:1], [*container["command"][1:], *container["args"]]
    names = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
    environment = {
        name: value
        for manifest in manifests
        if manifest["kind"] == "ConfigMap" and manifest["metadata"]["name"] in names
        for name, value in manifest["data"].items()
    }
    environment |= {variable["name"]: variable["value"] for variable in container.get("env", [])}
    return Container([*PROGRAMS[program], *arguments], environment)


@pytest.fixture
def manifests(aws_server: str) -> list[Manifest]:
    """The chart for a table and a bucket that nobody has made yet."""
    name = f"helm-{uuid.uuid4().hex[:12]}"
    settings = {
        "HOST": "127.0.0.1",
        "AWS_ENDPOINT_URL": aws_server,
        "DYNAMODB_TABLE_NAME": name,
        "S3_BUCKET_NAME": name,
        "BUILDER_SERVICE_URL": NOBODY,
        "LOKI_SERVICE_URL": NOBODY,
        "PROMETHEUS_SERVICE_URL": NOBODY,
    }
    return render("helm4", "minimal", values={"settings": settings, "migrate": {"enabled": True}})


@pytest.fixture
def served(aws_server: str, manifests: list[Manifest], tmp_path: Path) -> Iterator[str]:
    """The URL of the Deployment's gateway, after the Job has run, each with its own IAM role."""
    job = container_of(manifests, one(manifests, "Job", "migrate")["spec"]["template"])
    migrated = job.run(AWS_ENDPOINT_URL=as_role(aws_server, "migrate"))
    assert migrated.returncode == 0, migrated.stderr
    gateway = container_of(manifests, one(manifests, "Deployment")["spec"]["template"])
    environment = gateway.environment | {"PORT": "0"}  # any: the chart's may be taken on this machine
    with serving(gateway.command, tmp_path / "log", environment=environment) as process:
        yield process.url


def test_release_can_be_tested_after_its_install(served: str, manifests: list[Manifest]) -> None:
    """The Job makes the table ready, the gateway starts on it, and `helm test` finds it ready."""
    tested = container_of(manifests, one(manifests, "Pod", "test")).run(GATEWAY_URL=served)
    assert (tested.returncode, tested.stdout) == (0, "The gateway is ready and answers GraphQL.\n"), tested.stderr


def test_test_says_what_is_wrong(manifests: list[Manifest]) -> None:
    """Where nobody answers, the pod's log names the address, and the test fails."""
    tested = container_of(manifests, one(manifests, "Pod", "test")).run(GATEWAY_URL=NOBODY, WITHIN_S="0")
    assert tested.returncode == 1
    assert tested.stderr.startswith(f"{NOBODY}/readyz: ")


def test_test_is_asked_by_way_of_the_service(manifests: list[Manifest]) -> None:
    """Its address is that of the Service, with the Service's port."""
    service = one(manifests, "Service")
    (port,) = service["spec"]["ports"]
    asked = container_of(manifests, one(manifests, "Pod", "test")).environment["GATEWAY_URL"]
    assert asked == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{port['port']}"


def test_notes_say_what_to_open_and_what_is_missing() -> None:
    """The least that can be installed lacks a role, an address, a migration and a network policy."""
    notes = render_texts("minimal")["NOTES.txt"]
    assert "kubectl -n blue port-forward service/blue-faas-gateway 8000:80" in notes
    missing = notes.partition("\nMissing\n")[2].splitlines()
    assert [line.partition(":")[0].partition(",")[0] for line in missing if line.startswith("  - ")] == [
        "  - serviceAccount.roleArn",
        "  - settings.PUBLIC_URL",
        "  - migrate.enabled is false",
        "  - networkPolicy.enabled is false",
    ]


def test_notes_of_a_production_lack_nothing() -> None:
    """They name the address, and how to find the load balancer's."""
    notes = render_texts("production")["NOTES.txt"]
    assert "  https://api.example.com/graphql " in notes
    assert "kubectl -n blue get ingress blue-faas-gateway -o jsonpath=" in notes
    assert "Missing" not in notes
