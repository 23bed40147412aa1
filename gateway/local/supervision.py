"""One service of the local platform: started, awaited, logged, started again when it dies, stopped.

Which services there are and what they are told is platform.py's.
"""

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.local.processes import STOP_GRACE_S, Child, spawn

READY_WITHIN_S = 60.0  # a slow laptop that compiles Python files for the first time; seconds as a rule
POLL_INTERVAL_S = 0.05
MAX_RESTARTS = 3  # within a minute: what dies more often than that has a reason that a restart does not mend
RESTART_WINDOW_S = 60.0
MAX_LOG_BYTES = 2 * 1024 * 1024  # and as much again in the file before it


class ServiceError(Exception):
    """A service did not start, or died too often; the message holds its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is started: `url` is where it answers, `ready_path` what it is asked for until it does.

    `instead` makes the service that takes its place, at the same address, when it can't be started.
    """

    name: str
    log_name: str
    command: tuple[str, ...]
    url: str
    ready_path: str
    env: Mapping[str, str]
    sockets: tuple[socket.socket, ...] = ()
    instead: "Callable[[], Service] | None" = None


class BoundedLog:
    """A log file of bounded size, and the last thing that was written to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: deque[str] = deque(maxlen=12)

    async def copy(self, stream: asyncio.StreamReader) -> None:
        """Append everything from `stream` until it ends."""
        while chunk := await stream.read(1 << 16):
            self._last.extend(line for line in chunk.decode(errors="replace").splitlines() if line.strip())
            if self.path.exists() and self.path.stat().st_size + len(chunk) > MAX_LOG_BYTES:
                self.path.replace(self.path.with_suffix(".log.1"))
            with self.path.open("ab") as file:
                file.write(chunk)

    @property
    def last_words(self) -> str:
        """The last lines, indented; the file's path when there were none."""
        return "\n".join(f"    {line}" for line in self._last) or f"    (nothing in {self.path})"


class SupervisedService:
    """A service while the platform runs; `say` prints a line for the developer."""

    def __init__(self, service: Service, log: BoundedLog, say: Callable[[str], None]) -> None:
        self.service = service
        self._log = log
        self._say = say
        self._child: Child | None = None
        self._copying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process and return when it answers; ServiceError when it ends before, or takes too long."""
        child = self._child = await spawn(
            *self.service.command,
            sockets=self.service.sockets,
            env=self.service.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        if child.stdout is not None:
            self._copying = asyncio.create_task(self._log.copy(child.stdout))
        ended = asyncio.create_task(child.wait())
        ready = asyncio.create_task(self._await_answer())
        try:
            await asyncio.wait({ended, ready}, timeout=READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise ServiceError(await self._obituary("did not start"))
            if not ready.done():
                raise ServiceError(
                    f"{self.service.name} did not answer within {READY_WITHIN_S:g} s:\n{self._words}"
                )
        finally:
            ended.cancel()
            ready.cancel()

    async def keep_running(self) -> None:
        """Start the service again when it dies; ServiceError when that happens too often."""
        deaths: deque[float] = deque(maxlen=MAX_RESTARTS + 1)
        while self._child is not None:
            await self._child.wait()
            message = await self._obituary("ended")
            deaths.append(time.monotonic())
            if len(deaths) > MAX_RESTARTS and deaths[-1] - deaths[0] < RESTART_WINDOW_S:
                raise ServiceError(message)
            self._child.kill()
            self._say(f"! {message}\n  It is started again; more in {self._log.path}.")
            await self.start()
            self._say(f"! {self.service.name} is back.")

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the process within `grace_s` seconds, with everything it started."""
        if self._child is not None:
            await self._child.stop(grace_s)
        if self._copying is not None:
            await self._let_copying_end()

    async def _await_answer(self) -> None:
        """Return at the first answer below 500; a listening socket's backlog holds the question until then."""
        timeout = httpx.Timeout(READY_WITHIN_S, connect=2)
        async with httpx.AsyncClient(trust_env=False, timeout=timeout) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.get(self.service.url + self.service.ready_path)
                    if not answer.is_server_error:
                        return
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _obituary(self, verb: str) -> str:
        await self._let_copying_end()
        code = self._child.returncode if self._child is not None else None
        reason = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        return f"{self.service.name} {verb} ({reason}), its last words:\n{self._words}"

    async def _let_copying_end(self) -> None:
        """Wait for what the process said last; a grandchild that holds the pipe is not waited for."""
        if self._copying is not None:
            _, pending = await asyncio.wait({self._copying}, timeout=0.5)
            for task in pending:
                task.cancel()

    @property
    def _words(self) -> str:
        return self._log.last_words
