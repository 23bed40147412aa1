"""The runner as a process: what it keeps, what it leaves behind, and the compiler beside it."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.local.processes import Child, listen, spawn, url_of
from gateway.local.runner.precompile import KEPT, compile_component, compiled_path
from gateway.local.runner.wasm.exchange import is_allowed
from tests.local.runner.serving import COMPONENT_IMAGE, DEADLINE_S, LogReceiver, Served, until


@contextlib.asynccontextmanager
async def runner_process(folder: Path, images: Path) -> AsyncIterator[tuple[Child, Served]]:
    """The runner as `blue-gateway local` starts it, and clients for its sockets."""
    with contextlib.closing(listen()) as data, contextlib.closing(listen()) as control:
        command = [sys.executable, "-m", "gateway.local.runner", "--fd", str(data.fileno())]
        command += ["--control-fd", str(control.fileno()), "--data-dir", str(folder), "--registry", str(images)]
        command += ["--mode", "wasm", "--namespaces", "default,other", "--loki-url", "http://127.0.0.1:9"]
        child = await spawn(*command, sockets=[data, control])
        urls = [url_of(data), url_of(control)]
    async with (
        child,
        httpx.AsyncClient(base_url=urls[0], timeout=DEADLINE_S, trust_env=False) as functions,
        httpx.AsyncClient(base_url=urls[1], timeout=DEADLINE_S, trust_env=False) as calls,
    ):
        yield child, Served(functions=functions, control=calls, logs=LogReceiver(), registry=images)


def workers() -> set[str]:
    """Process ids of the worker processes on this machine that belong to these tests."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,args"], check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in listing.splitlines() if "gateway.local.runner.wasm_worker" in line}


async def test_deployed_functions_survive_kill_9(tmp_path: Path, images: Path) -> None:
    """After kill -9 and a new start on other ports every function answers, and no old worker is left."""
    others = workers()
    async with runner_process(tmp_path, images) as (child, served):
        for name in ("one", "two"):
            assert (await served.apply(name, COMPONENT_IMAGE)).status_code == 201
        assert len(workers() - others) == 2
        child.process.kill()
        await child.wait()
    await until(lambda: not workers() - others)
    async with runner_process(tmp_path, images) as (child, served):
        answers = await asyncio.gather(served.call("one"), served.call("two"))
        assert [answer.text for answer in answers] == ["hello", "hello"]
        assert len(await served.metric("kube_pod_labels", label_function_id="fn-one")) == 1
        child.process.terminate()
        assert await child.wait() == 0
    await until(lambda: not workers() - others)


def test_precompile_names_what_is_not_a_component(tmp_path: Path) -> None:
    """Exit code 1 and a line about it, and nothing in the cache."""
    (tmp_path / "app.wasm").write_bytes(b"not wasm")
    command = [sys.executable, "-m", "gateway.local.runner.precompile"]
    command += [str(tmp_path / "app.wasm"), str(tmp_path / "cache")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("app.wasm: ")
    assert not (tmp_path / "cache").exists()


def test_compiled_components_are_kept_to_a_number(tmp_path: Path) -> None:
    """The oldest go: each is 36 MB, and can be made again."""
    for number in range(KEPT + 1):
        component = tmp_path / f"{number}.wasm"
        component.write_text(f'(component (core module (func (export "{number}"))))')
        compile_component(component, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == KEPT


def test_compiled_path_depends_on_the_component(tmp_path: Path) -> None:
    """Another component is another file."""
    assert compiled_path(tmp_path, "aa") != compiled_path(tmp_path, "ab")


@pytest.mark.parametrize(
    ("allowed", "scheme", "authority", "expected"),
    [
        ((), "https", "example.com", False),
        (("https://example.com",), "https", "example.com", True),
        (("https://example.com",), "http", "example.com", False),
        (("https://example.com",), "https", "example.com:8443", False),
        (("https://example.com:8443",), "https", "example.com:8443", True),
        (("http://example.com:*",), "http", "Example.com:81", True),
        (("https://*.example.com",), "https", "a.example.com", True),
        (("https://*.example.com",), "https", "example.com.evil.org", False),
        (("*://*:*",), "http", "127.0.0.1:1", True),
    ],
)
def test_outbound_host_is_allowed_as_spin_does(
    allowed: tuple[str, ...], scheme: str, authority: str, expected: bool
) -> None:
    """Scheme, host and port all have to match."""
    assert is_allowed(scheme, authority, allowed) is expected
