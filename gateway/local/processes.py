"""Child processes that never outlive the process that started them, and the sockets handed down to them.

What the children are is not known here. Every child leads a session of its own: a Ctrl-C at the terminal
reaches the platform alone, which then ends its children in order, and whatever a child left running
is killed with its process group.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

LAUNCHER = Path(__file__).with_name("launch.py")
STOP_GRACE_S = 3.0  # uvicorn is given 2 s for what is under way; the platform has 5 s in all

Stream = int | None


class Child:
    """A running child process; leaving its `async with` stops it and everything in its process group."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        """The child's process id, which is its process group's too."""
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; the exit code, or minus the signal that ended it."""
        return self.process.returncode

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """The child's standard input, when it was asked for as a pipe."""
        return self.process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """The child's standard output, when it was asked for as a pipe."""
        return self.process.stdout

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        """The child's standard error, when it was asked for as a pipe."""
        return self.process.stderr

    async def wait(self) -> int:
        """Wait for the child's end; its exit code, or minus the signal."""
        return await self.process.wait()

    def kill(self) -> None:
        """Kill the child and its whole process group at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(self, grace_s: float = STOP_GRACE_S) -> int:
        """Ask the child to end, kill it after `grace_s` seconds, and kill what is left of its group."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), grace_s)
            except TimeoutError:
                pass
            finally:
                self.kill()
        else:
            self.kill()
        return await self.process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def guarded(command: Sequence[str | Path], *, how: Literal["kernel", "watch"] = "kernel") -> list[str]:
    """The argument vector that runs `command` bound to the life of the calling process.

    The kernel counts the calling *thread* as the parent: call from one that outlives the child.
    """
    words = [str(word) for word in command]
    return [sys.executable, "-I", "-S", str(LAUNCHER), how, str(os.getpid()), *words]


async def spawn(
    *command: str | Path,
    sockets: Sequence[socket.socket] = (),
    fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Stream = asyncio.subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    limit: int = 1 << 16,
    how: Literal["kernel", "watch"] = "kernel",
) -> Child:
    """Start `command` so that it dies with this process, kill -9 included.

    `sockets` and `fds` are inherited under the same numbers (`sock.fileno()` goes into the command line); the
    caller may close its own copies afterwards. `env` replaces the environment. `limit` is the stream
    readers' line length in bytes. A command that can't be started ends with code 1 and a line on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        *guarded(command, how=how),
        pass_fds=(*(sock.fileno() for sock in sockets), *fds),
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        limit=limit,
        start_new_session=True,
    )
    return Child(process)


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open a listening TCP socket, on a free port unless one is given; OSError when it is taken.

    Connections made before the child accepts wait in the backlog, so that nobody has to poll for readiness.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio sets TCP_NODELAY only then, and without it every answer is 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The http URL of a listening socket, such as `http://127.0.0.1:40123`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
