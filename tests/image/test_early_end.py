"""SIGTERM before the gateway serves: as process 1 of a container it would go unheard without a handler."""

import socket
import sys
from pathlib import Path

from tests.gateway import NOBODY
from tests.serving import serving


def test_serve_ends_when_told_before_it_listens(aws_environment: dict[str, str], tmp_path: Path) -> None:
    """It waits for a DynamoDB that accepts and says nothing: SIGTERM ends that at once, and well."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {
            **aws_environment,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "BUILDER_SERVICE_URL": NOBODY,
            "HOST": "127.0.0.1",
            "PORT": "0",
        }
        command = [sys.executable, "-m", "gateway", "serve"]
        log = tmp_path / "log"
        with serving(command, log, announcement="(environment production)", environment=settings) as starting:
            connection, _ = silent.accept()
            with connection:
                starting.process.terminate()
                assert starting.process.wait(timeout=10) == 0
    assert "Traceback" not in log.read_text()
    assert "listening on" not in log.read_text()
