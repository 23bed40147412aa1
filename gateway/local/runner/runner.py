"""Puts the runner together: its settings, and the two applications with what runs behind them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from gateway.local.runner.control import make_control_app
from gateway.local.runner.data import make_data_app
from gateway.local.runner.deployments import Deployments
from gateway.local.runner.function import Folders, Mode
from gateway.local.runner.logs import pushing_to
from gateway.local.runner.precompile import compiled_cache
from gateway.local.runner.store import SpinAppStore


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerConfig:
    """What one runner is told when it starts.

    `registry` is the folder of images; compiled components are in its sibling `compiled`. `namespaces` are those
    that exist.
    """

    data_dir: Path
    registry: Path
    loki_url: str
    mode: Mode = "wasm"
    namespaces: tuple[str, ...] = ("default",)
    execution_limit_s: float = 900
    """Seconds of one request in any case: the longest timeout a function can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A running runner: `data` serves functions, `control` is the Kubernetes API and the metrics."""

    data: ASGIApp
    control: ASGIApp


@contextlib.asynccontextmanager
async def open_runner(config: RunnerConfig) -> AsyncIterator[Runner]:
    """Serve what is deployed in `data_dir`; at the end every worker is stopped."""
    folders = Folders(
        registry=config.registry,
        compiled=compiled_cache(config.registry),
        sources=config.data_dir / "sources",
    )
    async with pushing_to(config.loki_url) as loki:
        deployments = Deployments(
            SpinAppStore(config.data_dir / "spinapps"),
            folders,
            mode=config.mode,
            execution_limit_s=config.execution_limit_s,
            put_line=loki.put,
        )
        try:
            yield Runner(data=make_data_app(deployments), control=make_control_app(deployments, config.namespaces))
        finally:
            await deployments.close()
