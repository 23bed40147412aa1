"""The stand-in as the platform starts it: real components, deployed to the real runner."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.local.builder.config import BuilderConfig
from gateway.local.processes import Child, listen, spawn, url_of
from gateway.local.registry import read_image
from gateway.local.runner.precompile import compiled_cache
from tests.local.builder.stage import HELLO, MANIFEST, Aws, Builder, new_workspace, zipped

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETS = HELLO.replace("class", "import os\n\n\nclass", 1).replace(
    'bytes("Hello", "utf-8")', 'os.environ["GREETING"].encode()'
)


@asynccontextmanager
async def runner_process(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """The runner in a process, without a Loki; the URLs of its functions and of its Kubernetes API."""
    with listen() as functions, listen() as control:
        command = [sys.executable, "-m", "gateway.local.runner", f"--fd={functions.fileno()}"]
        command += [f"--control-fd={control.fileno()}", f"--data-dir={folder / 'runner'}"]
        command += [f"--registry={folder / 'registry'}", "--loki-url=http://127.0.0.1:9"]
        child = await spawn(*command, sockets=[functions, control])
        urls = url_of(functions), url_of(control)
    async with child:
        yield urls


@asynccontextmanager
async def builder_process(config: BuilderConfig, env: dict[str, str]) -> AsyncIterator[tuple[Builder, Child]]:
    """The stand-in in a process, configured by its command line."""
    with listen() as listener:
        command = [sys.executable, "-m", "gateway.local.builder", f"--fd={listener.fileno()}"]
        command += [f"--data-dir={config.data_dir}", f"--registry={config.registry}"]
        command += [f"--kubernetes-url={config.kubernetes_url}", f"--table={config.table}"]
        child = await spawn(*command, f"--bucket={config.bucket}", sockets=[listener], env=os.environ | env)
        url = url_of(listener)
    async with child, httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        yield Builder(client, config), child


async def test_component_is_built_deployed_and_answers(
    aws: Aws, aws_environment: dict[str, str], tmp_path: Path
) -> None:
    """A zip becomes a compiled component that serves with its environment; a bad source beside it fails alone."""
    async with runner_process(tmp_path) as (functions_url, kubernetes_url):
        config = BuilderConfig(
            data_dir=tmp_path / "builder",
            registry=tmp_path / "registry",
            kubernetes_url=kubernetes_url,
            table=aws.table,
            bucket=aws.bucket,
        )
        environment = aws_environment | {"AWS_ENDPOINT_URL": aws.url}
        async with builder_process(config, environment) as (builder, child):
            workspace = new_workspace()
            upload = zipped(spin__toml=MANIFEST, hello__py=GREETS)
            good = await builder.upload("build-and-push", "src.zip", upload, workspace_id=workspace, tag="t1")
            bad = await builder.upload("build", "bad.py", "handler = None\n", workspace_id=workspace)
            failed = (await builder.follow(bad["task_id"], workspace))[-1]
            built = (await builder.follow(good["task_id"], workspace))[-1]
            image_url = (built["result"] or {}).get("image_uri")
            body = {"namespace": "default", "image_ref": image_url, "app_name": "Greeter"}
            deployed = await builder.client.post("/api/v1/deploy", json=body)
            endpoint = (await builder.client.post("/api/v1/deploy", json=body)).json().get("endpoint")
            answer = await builder.client.get(functions_url, headers={"host": str(endpoint)})
            assert await child.stop() == -signal.SIGTERM  # uvicorn shuts down, then ends by the signal it got
    assert failed["error"].startswith(
        "componentize-py failed:\nAttributeError: module 'bad' has no attribute 'IncomingHandler'\nhint: "
    )
    assert (built["status"], built["error"]) == ("completed", None)
    assert deployed.json()["service_status"] == "not_found"
    assert endpoint == "greeter.default.svc.cluster.local"
    assert (answer.status_code, answer.text) == (200, "hi")
    image = read_image(config.registry, str(image_url))
    assert image.media_type == "application/wasm"
    assert image.layer.read_bytes()[:8] == b"\x00asm\x0d\x00\x01\x00"  # a component, no core module
    assert len(await aws.read(built["result"]["wasm_path"])) == image.layer.stat().st_size
    assert len(list(compiled_cache(config.registry).iterdir())) == 1
