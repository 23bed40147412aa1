"""A runner and a log receiver on real sockets, and images for it."""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.local.processes import listen, url_of
from gateway.local.registry import ImageReference
from gateway.local.registry import write_image as write
from gateway.local.runner.__main__ import make_server
from gateway.local.runner.precompile import compile_component
from gateway.local.runner.runner import RunnerConfig, open_runner

SOURCE = Path(__file__).parent / "function" / "app.py"
SPINAPPS = "/apis/core.spinkube.dev/v1alpha1/namespaces/default/spinapps"
DEADLINE_S = 20
COMPONENT_IMAGE = "registry.local/ws-test/app:one"


def built_component() -> Path:
    """The function as a component, built and compiled once for its source and the tools' versions."""
    with (Path(sys.prefix) / "test-components.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        return _build_component()


def _build_component() -> Path:
    versions = [importlib.metadata.version(name) for name in ("componentize-py", "spin-sdk", "wasmtime")]
    key = hashlib.sha256(SOURCE.read_bytes() + " ".join(versions).encode()).hexdigest()[:20]
    folder = Path(sys.prefix) / "test-components" / key
    component = folder / "app.wasm"
    if not component.exists():
        shutil.rmtree(folder.parent, ignore_errors=True)  # of earlier sources: 70 MB each
        folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            target = Path(scratch) / "app.wasm"
            command = [
                str(Path(sys.executable).parent / "componentize-py"),
                "-w",
                "spin-http",
                "componentize",
                "app",
            ]
            environment = {**os.environ, "VIRTUAL_ENV": sys.prefix, "RUST_BACKTRACE": "0"}
            subprocess.run([*command, "-o", target], cwd=SOURCE.parent, env=environment, check=True)
            target.replace(component)
    compile_component(component, folder / "compiled")
    return component


@contextlib.asynccontextmanager
async def serving(*apps: ASGIApp) -> AsyncIterator[list[str]]:
    """URLs of `apps`, each on a free port; they end together, since a server takes 0.1 s to notice."""
    # From descriptors, as a stand-in's: asyncio turns Nagle's algorithm off only where it knows that it is TCP.
    listeners = [socket.socket(fileno=listen().detach()) for _ in apps]
    servers = [make_server(app) for app in apps]
    running = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, listener in zip(servers, listeners, strict=True)
    ]
    try:
        yield [url_of(listener) for listener in listeners]
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)


async def until(condition: Callable[[], Any] | Callable[[], Awaitable[Any]]) -> Any:
    """Wait for `condition` to hold and give what it returned."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        held = condition()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return held
        assert time.monotonic() < deadline, "the condition did not come to hold"
        await asyncio.sleep(0.02)


def write_image(root: Path, tag: str, layer: Path, media_type: str, **component: Any) -> str:
    """Put an image of the function into the registry at `root`; its reference."""
    reference = ImageReference(repository="ws-test/app", tag=tag)
    config = {
        "spin_manifest_version": 2,
        "application": {"name": "app"},
        "variables": {"greeting": {"default": "hi"}},
        "component": {"app": {"source": "app.wasm", **component}},
    }
    write(root, reference, config=config, layer=layer, media_type=media_type)
    return str(reference)


@dataclass
class LogReceiver:
    """Takes pushes as Loki does; `status` is what it answers."""

    status: int = 204
    requests: int = 0
    streams: list[dict[str, Any]] = field(default_factory=list)

    async def push(self, request: Request) -> Response:
        """POST /loki/api/v1/push."""
        self.requests += 1
        if self.status == 204:
            self.streams += (await request.json())["streams"]
        return Response(status_code=self.status)

    def app(self) -> Starlette:
        """The receiver's application."""
        return Starlette(routes=[Route("/loki/api/v1/push", self.push, methods=["POST"])])

    def lines(self, stream: str | None = None) -> list[str]:
        """What was received, in the order of its times."""
        values = [
            (int(ns), line)
            for entry in self.streams
            for ns, line in entry["values"]
            if stream in {None, entry["stream"]["stream"]}
        ]
        return [line for _, line in sorted(values)]


@dataclass
class Served:
    """A runner that is being served: clients of its two sockets, its log receiver and its registry."""

    functions: httpx.AsyncClient
    control: httpx.AsyncClient
    logs: LogReceiver
    registry: Path

    def write_image(self, tag: str, layer: Path, media_type: str, **component: Any) -> str:
        """Put an image of the function into the registry; its reference."""
        return write_image(self.registry, tag, layer, media_type, **component)

    async def apply(self, name: str, image: str, **spec: Any) -> httpx.Response:
        """PATCH the SpinApp `name`."""
        manifest = {
            "apiVersion": "core.spinkube.dev/v1alpha1",
            "kind": "SpinApp",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "image": image,
                "replicas": 1,
                "podLabels": {"faas": "true", "function_id": f"fn-{name}"},
                "resources": {"limits": {"memory": "128Mi"}},
                **spec,
            },
        }
        headers = {"content-type": "application/apply-patch+yaml"}
        return await self.control.patch(f"{SPINAPPS}/{name}", content=json.dumps(manifest), headers=headers)

    async def call(self, name: str, path: str = "/", method: str = "GET", **options: Any) -> httpx.Response:
        """Call the function `name` by its name in the cluster."""
        host = f"{name}.default.svc.cluster.local"
        headers = {**options.pop("headers", {}), "host": host}
        return await self.functions.request(method, path, headers=headers, **options)

    async def metric(self, family: str, **labels: str) -> list[float]:
        """The values of a family's series that carry `labels`."""
        text = (await self.control.get("/metrics")).text
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        samples = [line for line in text.splitlines() if line.startswith(f"{family}{{")]
        return [float(line.rpartition(" ")[2]) for line in samples if all(pair in line for pair in wanted)]


@contextlib.asynccontextmanager
async def served_runner(folder: Path, *, registry: Path, **config: Any) -> AsyncIterator[Served]:
    """A runner with its data in `folder`."""
    logs = LogReceiver()
    async with contextlib.AsyncExitStack() as stack:
        (loki_url,) = await stack.enter_async_context(serving(logs.app()))
        settings = RunnerConfig(data_dir=folder / "runner", registry=registry, loki_url=loki_url, **config)
        runner = await stack.enter_async_context(open_runner(settings))
        urls = await stack.enter_async_context(serving(runner.data, runner.control))
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, timeout=DEADLINE_S, trust_env=False, verify=False)
            )
            for url in urls
        ]
        yield Served(functions=clients[0], control=clients[1], logs=logs, registry=registry)


def source_tar(folder: Path, source: str) -> Path:
    """A layer with `source` as the module `app`."""
    module, layer = folder / "app.py", folder / "source.tar"
    module.write_text(source)
    with tarfile.open(layer, "w") as archive:
        archive.add(module, arcname="app.py")
    return layer
