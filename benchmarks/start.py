"""How fast `blue-gateway serve` is ready, and how much memory it takes when idle."""

import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.processes import resident_kb
from gateway.local.environment import AWS_ENVIRONMENT
from tests.aws import running_aws

RUNS = 7
IDLE_S = 3.0


def measure() -> dict[str, float]:
    """Medians of several runs: seconds to import, seconds to ready, and megabytes when idle."""
    imports = [_import_s() for _ in range(RUNS)]
    with TemporaryDirectory() as folder, running_aws(Path(folder)) as aws:
        environment = {
            **os.environ,
            **AWS_ENVIRONMENT,
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": "ap-northeast-2",
            "PORT": "0",
        }
        subprocess.run(
            [sys.executable, "-m", "gateway", "migrate"], env=environment, check=True, capture_output=True
        )
        runs = [_serve(environment) for _ in range(RUNS)]
    return {
        "import gateway.app, s": statistics.median(imports),
        "serve to ready, s": statistics.median(ready for ready, _ in runs),
        "idle memory, MB": statistics.median(memory for _, memory in runs),
    }


def _import_s() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gateway.app"], check=True)
    return time.perf_counter() - started


def _serve(environment: dict[str, str]) -> tuple[float, float]:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        address = next(found[1] for line in process.stderr if (found := re.search(r"listening on (\S+)", line)))
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            assert answer.status == 200
        ready_s = time.perf_counter() - started
        time.sleep(IDLE_S)
        return ready_s, resident_kb(process.pid) / 1024
    finally:
        process.terminate()
        process.communicate(timeout=30)
