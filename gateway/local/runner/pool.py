"""The workers of one version of a function: one as a rule, more while requests wait, at most four."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.local.runner import frames
from gateway.local.runner.function import Function
from gateway.local.runner.usage import Usage
from gateway.local.runner.worker import Worker, WorkerDiedError

WORKERS = 4
"""Workers of one function: each takes 60 MB, and laptops have few cores."""

GROW_AFTER_S = 0.1
"""Seconds a request waits before another worker is started: as long as starting one takes."""

EXTRA_IDLE_S = 30.0
"""Seconds without work after which all workers but one are stopped."""


class Pool:
    """Serves one version of a function; `pods` are the pods its workers count for, one after the other."""

    def __init__(
        self,
        function: Function,
        pods: tuple[str, ...],
        emit: Callable[[str, str, str], None],
        usage: Usage,
        execution_limit_s: float,
    ) -> None:
        self._function = function
        self._pods = pods
        self._emit = emit
        self._usage = usage
        self._execution_limit_s = execution_limit_s
        self._idle: asyncio.LifoQueue[Worker | None] = asyncio.LifoQueue()
        self._count = 0
        self._waiting = 0
        self._retired = False
        self._workers: set[Worker] = set()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether there are workers, or some are being started or stopped."""
        return self._count > 0 or bool(self._background)

    async def warm_up(self) -> None:
        """Have one worker ready; ImageError when there can't be one."""
        self._release(await self._start())

    async def call(self, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        """Have a worker answer; a cancelled call ends the execution, in the background.

        Raises WorkerDiedError, TimeoutError at the execution limit, ImageError when no worker can be started.
        """
        async with asyncio.timeout(self._execution_limit_s):
            worker = await self._acquire()
            exchange = worker.exchange(head, body)
            try:
                answer = await asyncio.shield(exchange)
            except asyncio.CancelledError:
                self._run(self._cancel(worker, exchange))
                raise
            except WorkerDiedError as error:
                self._emit(worker.pod, "stderr", str(error))
                self._discard(worker)
                raise
            self._release(worker)
            return answer

    def retire(self) -> None:
        """Take no more work: idle workers stop now, the others when they are done."""
        self._retired = True
        self._stop_idle(keep=0, idle_before=time.monotonic())

    async def close(self) -> None:
        """Kill every worker and wait for it."""
        self._retired = True
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        for worker in list(self._workers):
            self._discard(worker)

    async def _acquire(self) -> Worker:
        while True:
            if self._count == 0:
                return await self._start()
            self._waiting += 1
            try:
                async with asyncio.timeout(GROW_AFTER_S if self._count < WORKERS else None):
                    worker = await self._idle.get()
            except TimeoutError:
                if self._count < WORKERS:
                    return await self._start()
                continue
            finally:
                self._waiting -= 1
            if worker is not None and worker.alive:
                return worker
            if worker is not None:  # it died with nothing to do: the system needed its memory, say
                await self._stop(worker)

    async def _start(self) -> Worker:
        pod = self._pods[self._count % len(self._pods)]
        self._count += 1
        try:
            worker = await Worker.start(self._function, pod, lambda stream, line: self._emit(pod, stream, line))
        except BaseException:
            self._free_place()
            raise
        self._workers.add(worker)
        self._usage.add(worker)
        return worker

    def _release(self, worker: Worker) -> None:
        if self._retired and self._waiting == 0:
            self._run(self._stop(worker))
            return
        worker.idle_since = time.monotonic()
        self._idle.put_nowait(worker)
        if self._count > 1:
            loop = asyncio.get_running_loop()
            loop.call_later(
                EXTRA_IDLE_S, lambda: self._stop_idle(keep=1, idle_before=time.monotonic() - EXTRA_IDLE_S)
            )

    def _stop_idle(self, *, keep: int, idle_before: float) -> None:
        idle = []
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                idle.append(self._idle.get_nowait())
        for worker in reversed(idle):
            if worker is not None and self._count > keep and worker.idle_since <= idle_before:
                self._run(self._stop(worker))
            else:
                self._idle.put_nowait(worker)

    async def _cancel(self, worker: Worker, exchange: asyncio.Task[tuple[frames.Head, bytes]]) -> None:
        if await worker.cancel(exchange):
            self._release(worker)
        else:
            self._discard(worker)

    async def _stop(self, worker: Worker) -> None:
        self._discard(worker)
        await worker.stop()

    def _discard(self, worker: Worker) -> None:
        if worker in self._workers:
            self._workers.discard(worker)
            self._usage.remove(worker)
            self._free_place()

    def _free_place(self) -> None:
        self._count -= 1
        self._idle.put_nowait(None)  # who waits looks again, and may start a worker

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
