"""Starts the stubs and the contestants, each a process, and reads what they use from /proc."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu_ms
from gateway.local.environment import AWS_ENVIRONMENT

MERCURIUS = Path(__file__).parent / "mercurius"
INSTALL_S = 120


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server of the pages."""

    name: str
    pid: int
    url: str

    def cpu_ms(self) -> float:
        """What the process has used so far."""
        return cpu_ms(self.pid)


def _environment(upstreams: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        **AWS_ENVIRONMENT,
        "AWS_REGION": "ap-northeast-2",
        "AWS_DEFAULT_REGION": "ap-northeast-2",
        "AWS_ENDPOINT_URL": upstreams["dynamodb"],
        "LOKI_SERVICE_URL": upstreams["loki"],
        "PROMETHEUS_SERVICE_URL": upstreams["prometheus"],
        "DYNAMODB_TABLE_NAME": "bench",
        "HOST": "127.0.0.1",
        "PORT": "0",
    }


@contextlib.contextmanager
def running_stubs() -> Iterator[dict[str, str]]:
    """Run the upstreams; their addresses by system."""
    with _running([sys.executable, "-m", "benchmarks.pages.stubs"], dict(os.environ)) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def running_contestants(upstreams: Mapping[str, str], *, before: bool) -> Iterator[list[Contestant]]:
    """Run all that can be run here; `before` is the gateway without its fast paths."""
    environment = _environment(upstreams)
    commands = {
        "gateway": [sys.executable, "-m", "gateway", "serve"],
        "handwritten": [sys.executable, "-m", "benchmarks.pages.handwritten"],
        "usual": [sys.executable, "-m", "benchmarks.pages.usual"],
    }
    if before:
        commands["before"] = [sys.executable, "-m", "benchmarks.pages.before"]
    if _has_mercurius():
        commands["mercurius"] = ["node", str(MERCURIUS / "server.mjs")]
    with contextlib.ExitStack() as stack:
        found = []
        for name, command in commands.items():
            process = stack.enter_context(_running(command, environment))
            found.append(Contestant(name, process.pid, _address(process)))
        yield found


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """The first address that a server names."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"(?:listening on |^)(http://\S+)", line):
            return found[1]
    raise RuntimeError("a contestant did not start:\n" + "".join(said))


def _has_mercurius() -> bool:
    """Install Mercurius where there is Node and npm; the benchmark goes on without it."""
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        return False
    if (MERCURIUS / "node_modules").is_dir():
        return True
    command = [npm, "ci", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=MERCURIUS, timeout=INSTALL_S, check=False, capture_output=True)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
