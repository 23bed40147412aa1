"""What is deployed: applies SpinApps, keeps them, and has their functions called."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from gateway.local.runner import frames
from gateway.local.runner.function import Folders, Mode, prepare_function
from gateway.local.runner.pool import Pool
from gateway.local.runner.spinapp import SpinApp, apply_manifest
from gateway.local.runner.store import SpinAppStore
from gateway.local.runner.usage import Usage

PutLine = Callable[[dict[str, str], str], None]
"""Takes a log line with its labels."""


class Deployment:
    """One app: its resource, the pool of its present version, and what its pods have used."""

    def __init__(self, app: SpinApp) -> None:
        self.app = app
        self.pool: Pool | None = None
        self.usage = Usage()

    def adopt(self, pool: Pool) -> Pool:
        """Take `pool`, unless another request or a roll-out was quicker; the one that serves."""
        if self.pool is None:
            self.pool = pool
        return self.pool


class Deployments:
    """All apps by namespace and name, and by the host they are called at."""

    def __init__(
        self,
        store: SpinAppStore,
        folders: Folders,
        *,
        mode: Mode,
        execution_limit_s: float,
        put_line: PutLine,
    ) -> None:
        self._store = store
        self._folders = folders
        self._mode = mode
        self._execution_limit_s = execution_limit_s
        self._put_line = put_line
        self._retired: list[Pool] = []
        self._applying: dict[tuple[str, str], asyncio.Lock] = {}
        # Their workers are started by the first request: that takes 0.2 s, and starting all would take all cores.
        self._by_host = {app.host: Deployment(app) for app in store.load()}

    def __iter__(self) -> Iterator[Deployment]:
        return iter(list(self._by_host.values()))

    def get(self, namespace: str, name: str) -> SpinApp | None:
        """The resource of that name."""
        return next(
            (found.app for found in self if (found.app.namespace, found.app.name) == (namespace, name)), None
        )

    async def apply(self, manifest: Any, namespace: str, name: str) -> SpinApp:
        """Roll out `manifest`: the version before it serves until the new one is ready, and is kept when it fails.

        Raises InvalidManifestError, or ImageError when the new version can't be served.
        """
        async with self._applying.setdefault((namespace, name), asyncio.Lock()):
            app = apply_manifest(manifest, namespace, name, self.get(namespace, name))
            deployment = self._by_host.get(app.host) or Deployment(app)
            pool = await self._make_pool(app, deployment.usage)
            await pool.warm_up()
            await asyncio.to_thread(self._store.save, app)
            before, deployment.pool, deployment.app = deployment.pool, pool, app
            self._by_host[app.host] = deployment
            self._retire(before)
            return app

    async def delete(self, namespace: str, name: str) -> SpinApp | None:
        """Stop serving an app and forget it; None when there is none."""
        async with self._applying.setdefault((namespace, name), asyncio.Lock()):
            app = self.get(namespace, name)
            if app is None:
                return None
            await asyncio.to_thread(self._store.delete, app)
            deployment = self._by_host.pop(app.host)
            self._retire(deployment.pool)
            return app

    async def delete_autoscaler(self, namespace: str, name: str) -> SpinApp | None:
        """Delete the autoscaler of an app; None when it has none."""
        async with self._applying.setdefault((namespace, name), asyncio.Lock()):
            app = self.get(namespace, name)
            if app is None or not app.autoscaled:
                return None
            app = dataclasses.replace(app, autoscaled=False)
            await asyncio.to_thread(self._store.save, app)
            self._by_host[app.host].app = app
            return app

    def find(self, host: str) -> Deployment | None:
        """The app that is called at `host`, a name without a port."""
        return self._by_host.get(host)

    async def call(self, deployment: Deployment, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        """Have a function answer; the errors are Pool.call's."""
        return await (await self._pool_of(deployment)).call(head, body)

    async def _pool_of(self, deployment: Deployment) -> Pool:
        if deployment.pool is not None:
            return deployment.pool
        return deployment.adopt(await self._make_pool(deployment.app, deployment.usage))

    async def _make_pool(self, app: SpinApp, usage: Usage) -> Pool:
        function = await prepare_function(app.image, app.memory_bytes, self._folders, self._mode)
        labels = {
            "function_id": app.labels.get("function_id", ""),
            "app": app.name,
            "namespace": app.namespace,
        }

        def emit(pod: str, stream: str, line: str) -> None:
            self._put_line({**labels, "pod": pod, "stream": stream}, line)

        return Pool(function, app.pods, emit, usage, self._execution_limit_s)

    async def close(self) -> None:
        """Stop every worker."""
        pools = [found.pool for found in self if found.pool is not None]
        await asyncio.gather(*(pool.close() for pool in (*pools, *self._retired)))

    def _retire(self, pool: Pool | None) -> None:
        self._retired = [retired for retired in self._retired if retired.busy]
        if pool is not None:
            pool.retire()
            self._retired.append(pool)
