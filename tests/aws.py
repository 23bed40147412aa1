"""The AWS stand-in as tests use it: a process on a folder, the SDKs' environment, a table."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from gateway.local.environment import AWS_ENVIRONMENT
from gateway.local.processes import guarded, listen, url_of

REGION = "ap-northeast-2"
SDK_ENVIRONMENT = {**AWS_ENVIRONMENT, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}


@dataclass(frozen=True, slots=True)
class AwsServer:
    """A running stand-in."""

    url: str
    process: subprocess.Popen[bytes]

    def client(self, service: str) -> Any:
        """A boto3 client for `dynamodb` or `s3` of this server."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.process.wait(timeout=10)


def as_role(aws_url: str, role: str) -> str:
    """The address under which the session's stand-in is asked by somebody else than a gateway that serves."""
    return f"{aws_url}/as/{role}"


@contextmanager
def running_aws(data_dir: Path, *, module: str = "gateway.local.aws") -> Iterator[AwsServer]:
    """Run the stand-in on a folder; what it prints goes to `server.log` beside what it keeps."""
    data_dir.mkdir(exist_ok=True)
    log_path = data_dir / "server.log"
    with listen() as listener, log_path.open("wb") as log:
        fd = listener.fileno()
        url = url_of(listener)
        process = subprocess.Popen(
            guarded([sys.executable, "-m", module, "--fd", str(fd), "--data-dir", str(data_dir)]),
            pass_fds=[fd],
            env=os.environ | SDK_ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_answer(url, process, log_path)
        yield AwsServer(url, process)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url + "/moto-api/", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the AWS stand-in did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.02)


def create_platform_table(client: Any, name: str) -> None:
    """Create a table with the platform's keys and GSI1, empty."""
    keys = ("PK", "SK", "GSI1PK", "GSI1SK")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "GSI1",
                "KeySchema": [
                    {"AttributeName": "GSI1PK", "KeyType": "HASH"},
                    {"AttributeName": "GSI1SK", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
