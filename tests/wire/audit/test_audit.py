"""Conformance as others judge it: npm graphql-http's audits, and the graphql-ws and graphql-sse clients."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.aws import as_role
from tests.nodejs import node_command, run_node
from tests.serving import serving

pytestmark = pytest.mark.ci

HERE = Path(__file__).parent
SMALL_APP = [sys.executable, "-m", "tests.wire.app", "1"]


@pytest.fixture
def small_url(tmp_path: Path) -> Iterator[str]:
    """The GraphQL address of the wire tests' app: the gateway's view and server around a small schema."""
    with serving(SMALL_APP, tmp_path / "server.log") as served:
        yield served.url + "/graphql"


@pytest.fixture
def gateway_url(aws_server: str, tmp_path: Path) -> Iterator[str]:
    """The GraphQL address of `serve` on a table of its own; nothing listens where the other systems would be."""
    environment = {
        "HOST": "127.0.0.1",
        "PORT": "0",
        "AWS_ENDPOINT_URL": aws_server,
        "DYNAMODB_TABLE_NAME": "audited",
        "S3_BUCKET_NAME": "audited",
        "BUILDER_SERVICE_URL": "http://127.0.0.1:9",
        "LOKI_SERVICE_URL": "http://127.0.0.1:9",
        "PROMETHEUS_SERVICE_URL": "http://127.0.0.1:9",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        migrates = os.environ | {"AWS_ENDPOINT_URL": as_role(aws_server, "migrate")}
        subprocess.run([sys.executable, "-m", "gateway", "migrate"], check=True, timeout=30, env=migrates)
        with serving([sys.executable, "-m", "gateway", "serve"], tmp_path / "gateway.log") as served:
            yield served.url + "/graphql"


def test_graphql_over_http_audits_of_the_gateway(gateway_url: str) -> None:
    """All 61 audits pass on the gateway as it is served."""
    printed = run_node(HERE / "graphql_http.mjs", gateway_url, timeout_s=60)
    assert "# pass 62\n# fail 0\n" in printed  # the 61, and that there are 61


def test_graphql_over_http_audits_of_the_view(small_url: str) -> None:
    """All 61 audits pass on the view by itself: what fails on the gateway alone is not the transport's."""
    printed = run_node(HERE / "graphql_http.mjs", small_url, timeout_s=60)
    assert "# pass 62\n# fail 0\n" in printed


def test_clients_of_frontends(small_url: str) -> None:
    """graphql-ws and graphql-sse get their results, their errors and their ends."""
    printed = run_node(HERE / "clients.mjs", small_url, timeout_s=60)
    assert "# pass 30\n# fail 0\n" in printed


def test_graphql_ws_reconnects_when_the_server_is_restarted(tmp_path: Path) -> None:
    """A server that stops closes with 1012, and the client subscribes again once another listens there."""
    log = tmp_path / "server.log"
    with serving(SMALL_APP, log) as first:
        url = first.url + "/graphql"
        client = subprocess.Popen(node_command(HERE / "reconnect.mjs", url), stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        assert client.stdout.readline() == "result\n"
    try:
        assert client.stdout.readline() == "closed 1012\n"
        with serving([*SMALL_APP, str(urlsplit(url).port)], log):
            printed, _ = client.communicate(timeout=30)
        assert printed.splitlines()[-2:] == ["result", "closed 1000"]
        assert client.returncode == 0
    finally:
        client.kill()
        client.wait()
