"""How much memory `blue-gateway serve` takes for a large upload, on its way through the disk to S3 and builder."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.processes import resident_kb
from gateway.local.environment import AWS_ENVIRONMENT
from tests.aws import running_aws
from tests.serving import serving

MEGABYTE = 1024 * 1024
LIMIT_MB = 200
SAMPLE_S = 0.005
BLOCK = os.urandom(MEGABYTE)
BOUNDARY = "upload"
CREATE = 'mutation { createWorkspace(input: {name: "Uploads"}) { workspace { id } } }'
START = "mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id status } } }"


class Discarding(BaseHTTPRequestHandler):
    """A Builder Service that accepts uploads, counts them and keeps nothing."""

    received: list[int]

    def do_POST(self) -> None:
        """Take an upload."""
        left = length = int(self.headers["content-length"])
        while left:
            left -= len(self.rfile.read(min(left, MEGABYTE)))
        self.received.append(length)
        self._answer(202, {"task_id": f"task-{len(self.received)}", "status": "pending", "source_s3_path": None})

    def do_GET(self) -> None:
        """Say that whatever is asked for is under way."""
        self._answer(200, {"task_id": "task", "status": "running", "result": None, "error": None, "tasks": []})

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def discarding_builder() -> Iterator[tuple[str, list[int]]]:
    """Serve one in a thread: its address, and the lengths of the bodies it got."""
    received: list[int] = []
    handler = type("Handler", (Discarding,), {"received": received})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()


def measure(size_mb: int = 100) -> dict[str, float]:
    """Megabytes that the process takes at most, and before; small uploads have warmed it up."""
    with (
        TemporaryDirectory() as folder,
        running_aws(Path(folder) / "aws") as aws,
        discarding_builder() as (builder_url, received),
    ):
        environment = AWS_ENVIRONMENT | {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "ap-northeast-2",
            "BUILDER_SERVICE_URL": builder_url,
            "MAX_UPLOAD_BYTES": str(LIMIT_MB * MEGABYTE),
            "PORT": "0",
            "HOST": "127.0.0.1",
        }
        command = [sys.executable, "-m", "gateway"]
        subprocess.run([*command, "migrate"], env=os.environ | environment, check=True, capture_output=True)
        with serving([*command, "serve"], Path(folder) / "log", environment=environment) as served:
            workspace_id = _create_workspace(served.url)
            for _ in range(2):
                _upload(served.url, workspace_id, 1)
            before = resident_kb(served.process.pid) / 1024
            uploading = threading.Thread(target=_upload, args=(served.url, workspace_id, size_mb))
            uploading.start()
            peak = before
            while uploading.is_alive():
                peak = max(peak, resident_kb(served.process.pid) / 1024)
                uploading.join(SAMPLE_S)
            assert received[-1] > size_mb * MEGABYTE
    return {
        "upload, MB": size_mb,
        "memory before, MB": before,
        "memory at most, MB": peak,
        "moved by, MB": peak - before,
    }


def _create_workspace(url: str) -> str:
    body = json.dumps({"query": CREATE}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        id_: str = json.load(answer)["data"]["createWorkspace"]["workspace"]["id"]
        return id_


def _upload(url: str, workspace_id: str, size_mb: int) -> None:
    """Upload a source of random bytes, which it is not looked into for, a megabyte at a time."""
    operations = {"query": START, "variables": {"input": {"workspaceId": workspace_id, "file": None}}}
    head = "".join(
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{json.dumps(value)}\r\n'
        for name, value in (("operations", operations), ("map", {"0": ["variables.input.file"]}))
    )
    head += f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="0"; filename="app.py"\r\n\r\n'
    tail = f"\r\n--{BOUNDARY}--\r\n"
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
    connection.putrequest("POST", "/graphql")
    connection.putheader("content-type", f"multipart/form-data; boundary={BOUNDARY}")
    connection.putheader("content-length", str(len(head) + size_mb * MEGABYTE + len(tail)))
    connection.putheader("graphql-require-preflight", "1")
    connection.endheaders(head.encode())
    assert isinstance(connection.sock, socket.socket)
    for _ in range(size_mb):
        connection.send(BLOCK)
    connection.send(tail.encode())
    answer = json.load(connection.getresponse())
    assert "errors" not in answer, answer
    connection.close()
