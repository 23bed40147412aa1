"""What the benchmark runs: the gateway, what it needs, and processes of subscribers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.subscriptions.storing import StoredTimes, noting
from gateway.local.environment import AWS_ENVIRONMENT
from tests.aws import running_aws
from tests.builds.replicas.builder import PacedBuilder, paced_builder
from tests.serving import serving

PROCESSES = 2
START = "mutation ($input: StartBuildAndPushInput!) { startBuildAndPush(input: $input) { build { id } } }"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The process that is measured."""

    url: str
    pid: int
    clock: Path
    """Where clocked.py notes the CPU of its deliveries."""


class ClientProcess:
    """A process of clients.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, question: Any) -> Any:
        """Send a line and read one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "a client process ended"
        return json.loads(line)


@asynccontextmanager
async def running(interval_s: float) -> AsyncIterator[tuple[Gateway, PacedBuilder, StoredTimes]]:
    """`gateway serve` on the stand-in of AWS; the builder, and when what was stored, in this process."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        aws = stack.enter_context(running_aws(folder / "aws"))
        builder, times = await stack.enter_async_context(paced_builder()), StoredTimes()
        environment = AWS_ENVIRONMENT | {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ENDPOINT_URL_DYNAMODB": await stack.enter_async_context(noting(aws.url, times)),
            "AWS_REGION": "ap-northeast-2",
            "BUILDER_SERVICE_URL": builder.url,
            "BUILD_POLL_INTERVAL_S": f"{interval_s:g}",
            "BUILD_LEASE_S": "60",  # the stand-in of DynamoDB, not the gateway, would be busy with renewals
            "PORT": "0",
            "HOST": "127.0.0.1",
        }
        clock = folder / "clock"
        await _run([sys.executable, "-m", "gateway", "migrate"], environment)
        command = [sys.executable, "-m", "benchmarks.subscriptions.clocked", str(clock), "serve"]
        serve = serving(command, folder / "log", environment=environment)
        served = await asyncio.to_thread(stack.enter_context, serve)
        yield Gateway(served.url, served.process.pid, clock), builder, times


@asynccontextmanager
async def subscribed(gateway: Gateway, builds: list[str], count: int) -> AsyncIterator[list[ClientProcess]]:
    """Subscribers in processes, each from an address of its own; all have had their first event."""
    address = urlsplit(gateway.url)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.subscriptions.clients",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )
        for _ in range(PROCESSES)
    ]
    try:
        clients = [ClientProcess(process) for process in processes]
        each = count // PROCESSES
        orders = [
            {
                "host": address.hostname,
                "port": address.port,
                "from": f"127.0.0.{number + 2}",
                "builds": builds,
                "first": number * each,
                "count": each + (count % PROCESSES if number == PROCESSES - 1 else 0),
            }
            for number in range(PROCESSES)
        ]
        await asyncio.gather(*(client.ask(order) for client, order in zip(clients, orders, strict=True)))
        yield clients
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            await process.wait()


async def _run(command: list[str], environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0


async def ask(gateway: Gateway, query: str) -> Any:
    """The data of an operation."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        answer = (await client.post(f"{gateway.url}/graphql", json={"query": query})).json()
    assert "errors" not in answer, answer
    return answer["data"]


async def start(gateway: Gateway, workspace_id: str, app: str) -> str:
    """Start a build; its id."""
    given = {"workspaceId": workspace_id, "appName": app, "file": None}
    form = {
        "operations": json.dumps({"query": START, "variables": {"input": given}}),
        "map": json.dumps({"0": ["variables.input.file"]}),
    }
    files = {"0": ("app.py", b"print('hello')\n")}
    headers = {"graphql-require-preflight": "1"}
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        response = await client.post(f"{gateway.url}/graphql", data=form, files=files, headers=headers)
    answer = response.json()
    assert "errors" not in answer, answer
    id_: str = answer["data"]["startBuildAndPush"]["build"]["id"]
    return id_
