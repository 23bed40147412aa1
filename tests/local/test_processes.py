"""Child processes: they end with their parent whatever ends it, and get their sockets by descriptor."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gateway.local.processes import guarded, listen, spawn, url_of

PARENT = """
import asyncio, sys
from gateway.local.processes import spawn

async def main():
    child = await spawn(sys.executable, "-c", CHILD, how=sys.argv[1])
    print(child.pid, flush=True)
    await child.wait()

CHILD = "import time; time.sleep(60)"
asyncio.run(main())
"""


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return not Path("/proc/self").exists()


async def wait_gone(pid: int, within_s: float = 5.0) -> None:
    """Return when the process is gone, fail when it is not within the time."""
    deadline = time.monotonic() + within_s
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["kernel", "watch"])
async def test_child_ends_when_its_parent_is_killed(how: str) -> None:
    """A parent that gets kill -9 leaves no child behind, with the kernel's help and without it."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, how, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    await parent.wait()
    await wait_gone(pid)


async def test_child_answers_on_the_socket_it_was_given() -> None:
    """A listening socket is inherited under its own number, and early connections wait in its backlog."""
    code = "import socket,sys; s = socket.socket(fileno=int(sys.argv[1])); s.accept()[0].sendall(b'here')"
    listener = listen()
    host, port = listener.getsockname()
    assert url_of(listener) == f"http://127.0.0.1:{port}"
    reader, writer = await asyncio.open_connection(host, port)
    async with await spawn(sys.executable, "-c", code, str(listener.fileno()), sockets=[listener]):
        listener.close()
        assert await reader.read() == b"here"
    writer.close()
    await writer.wait_closed()


async def test_stop_kills_a_child_that_ignores_sigterm_and_its_children() -> None:
    """A stop is bounded, and takes what the child started with it."""
    code = (
        "import signal,subprocess,sys,time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    child = await spawn(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    grandchild = int(await child.stdout.readline())
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL
    await wait_gone(grandchild)


@pytest.mark.parametrize("how", ["kernel", "watch"])
async def test_stop_lets_a_child_end_by_itself(how: str) -> None:
    """SIGTERM comes first: a child that handles it gives its own exit code."""
    code = (
        "import signal,sys,time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7));"
        "print('ready', flush=True); time.sleep(60)"
    )
    child = await spawn(
        sys.executable,
        "-c",
        code,
        stdout=asyncio.subprocess.PIPE,
        how="kernel" if how == "kernel" else "watch",
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    assert await child.stop() == 7


async def test_spawn_names_a_command_that_does_not_exist() -> None:
    """A missing program is one line on stderr and exit code 1."""
    child = await spawn("no-such-program", stderr=asyncio.subprocess.PIPE)
    assert child.stderr is not None
    assert await child.stderr.read() == b"no-such-program: No such file or directory\n"
    assert await child.wait() == 1


async def test_guarded_command_ends_at_once_when_the_parent_is_already_gone() -> None:
    """The parent may end between fork and the kernel's promise: the command is not run then."""
    words = guarded([sys.executable, "-c", "print('ran')"])
    words[words.index(str(os.getpid()))] = "1"
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output == b""
    assert process.returncode == 1


async def test_listen_fails_on_a_port_in_use() -> None:
    """A taken port is an OSError at once, no second listener."""
    with listen() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listen(port=port)
