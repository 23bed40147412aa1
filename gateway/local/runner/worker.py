"""The runner's side of one worker process: start, one exchange at a time, what it prints, what it uses."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.local.processes import Child, spawn
from gateway.local.runner import frames
from gateway.local.runner.function import Function, ImageError, project_folder
from gateway.local.runner.lines import LineSplitter

START_TIMEOUT_S = 50.0
"""Seconds until a worker is ready: 0.15 as a rule. Top-level code of Python source runs in them, and a component
that was not compiled yet takes 6 more; the builder waits 60 for a roll-out."""

END_GRACE_S = 1.0
"""Seconds a process that closed its socket has to end by itself, so that its own exit code is reported; and those
until what a killed one has printed is read."""

CANCEL_GRACE_S = 1.0
"""Seconds a component has to end after it was told to; it takes milliseconds."""

Emit = Callable[[str, str], None]
"""Takes the stream (`stdout`, `stderr`) and a line without its end."""


class WorkerDiedError(Exception):
    """The worker's process ended while it had a request."""


class Worker:
    """A process that serves one function; `pod` is the pod it counts for."""

    def __init__(
        self,
        child: Child,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        pod: str,
        cancellable: bool,
    ) -> None:
        self.pod = pod
        self.idle_since = 0.0
        self._child = child
        self._reader, self._writer = streams
        self._cancellable = cancellable
        self._requests = 0
        self._cpu_s = 0.0
        self._rss_bytes = 0
        self._printing: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, function: Function, pod: str, emit: Emit) -> "Worker":
        """Start a worker and wait until it is ready; ImageError with its reason when it can't be."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            child = await spawn(
                sys.executable,
                "-P",
                "-B",
                "-m",
                function.module,
                str(theirs.fileno()),
                sockets=[theirs],
                env={"PYTHONPATH": project_folder()},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        worker = cls(child, await asyncio.open_connection(sock=ours, limit=1 << 20), pod, function.cancellable)
        worker._print_to(emit)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                head, _ = await worker._exchange(function.settings, b"")
        except TimeoutError as error:
            await worker.stop()
            raise ImageError(f"the function was not ready within {START_TIMEOUT_S:g} s") from error
        except WorkerDiedError as error:
            raise ImageError(str(error)) from error
        except asyncio.CancelledError:
            await worker.stop()
            raise
        if "error" in head:
            await worker.stop()
            raise ImageError(str(head["error"]))
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._child.returncode is None

    def exchange(self, head: frames.Head, body: bytes) -> "asyncio.Task[tuple[frames.Head, bytes]]":
        """Begin one request; the task is to be awaited to its end, since half an answer can't be skipped."""
        self._requests += 1
        return asyncio.create_task(self._exchange({**head, "id": self._requests}, body))

    async def cancel(self, exchange: "asyncio.Task[tuple[frames.Head, bytes]]") -> bool:
        """End the running request; True when the worker lives on, False when it had to be killed for it."""
        if self._cancellable:
            self._writer.write(frames.pack({"cancel": self._requests}))
            await asyncio.wait({exchange}, timeout=CANCEL_GRACE_S)
        if exchange.done() and exchange.exception() is None:
            return True
        await self.stop()
        await asyncio.wait({exchange})
        # Taken note of: nobody else asks for it.
        exchange.exception()
        return False

    async def stop(self) -> None:
        """Kill the process and its group, and wait until what it printed is read."""
        self.usage()
        self._rss_bytes = 0
        self._child.kill()
        self._writer.close()
        # A grandchild that left the group could hold the pipes open for ever, and with them this wait.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._child.wait(), END_GRACE_S)
        await asyncio.wait(self._printing, timeout=END_GRACE_S)
        for task in self._printing:
            task.cancel()

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far, which never go down, and resident bytes now."""
        if self._child.returncode is None:
            try:
                fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(") ")[2].split()
            except OSError:
                return self._cpu_s, self._rss_bytes  # no /proc: what it said in its last answer
            cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            self._cpu_s = max(self._cpu_s, cpu_s)
            self._rss_bytes = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        return self._cpu_s, self._rss_bytes

    async def _exchange(self, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        try:
            self._writer.write(frames.pack(head, body))
            await self._writer.drain()
            answer, content = await frames.read(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._child.wait(), END_GRACE_S)
            await self.stop()
            raise WorkerDiedError(f"the function's process ended ({self._ending()})") from error
        self._cpu_s = max(self._cpu_s, answer.get("cpu_s", 0.0))
        self._rss_bytes = answer.get("rss_bytes", self._rss_bytes)
        return answer, content

    def _ending(self) -> str:
        code = self._child.returncode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _print_to(self, emit: Emit) -> None:
        for stream, reader in (("stdout", self._child.stdout), ("stderr", self._child.stderr)):
            if reader is not None:
                self._printing.add(asyncio.create_task(_read_lines(reader, stream, emit)))


async def _read_lines(reader: asyncio.StreamReader, stream: str, emit: Emit) -> None:
    splitter = LineSplitter()
    while piece := await reader.read(1 << 16):
        for line in splitter.feed(piece):
            emit(stream, line)
    for line in splitter.end():
        emit(stream, line)
