"""`blue-gateway local` as a process: what stops it from starting, and that nothing of it is left behind."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.local.folder import locked_folder
from gateway.local.processes import listen
from tests.local.processes_of import MARK, await_none_left, marked, new_mark


class Platform:
    """A running `blue-gateway local` and what it prints."""

    def __init__(
        self, data_dir: Path, *arguments: str, path: str = os.environ["PATH"], cwd: Path | None = None
    ) -> None:
        self.mark = new_mark()
        command = [sys.executable, "-m", "gateway", "local", "--data-dir", str(data_dir), *arguments]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {MARK: self.mark, "PATH": path},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())
        self.process.stdout.close()
        self._lines.put(None)

    def await_line(self, part: str, within_s: float = 40) -> str:
        """The next line that contains `part`."""
        deadline = time.monotonic() + within_s
        while (line := self._lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
            self.output.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} is not in what it printed:\n" + "\n".join(self.output))

    def await_url(self) -> str:
        """Where its gateway is, once it is ready; without a path."""
        address = self.await_line("Explorer").split()[-1]
        self.await_line("Ready in")
        return address.removesuffix("/graphql")

    def process_id(self, command: str) -> int:
        """The process whose command line contains `command`."""
        (pid,) = [pid for pid, line in marked(self.mark).items() if command in line]
        return pid

    def close(self) -> None:
        """Kill it, whatever it does, and wait until nothing of it is left."""
        self.process.kill()
        self.process.wait(timeout=10)
        self._reader.join(timeout=10)
        await_none_left(self.mark, within_s=5)


@contextmanager
def running_platform(data_dir: Path, *arguments: str, path: str = os.environ["PATH"]) -> Iterator[Platform]:
    """Run the platform with Python functions on a free port."""
    platform = Platform(data_dir, "--port", "0", "--runner", "python", *arguments, path=path)
    try:
        yield platform
    finally:
        platform.close()


def run_to_its_end(*arguments: str) -> tuple[int, str, str]:
    """Run a platform that can't start; exit code, what it printed, and its errors."""
    command = [sys.executable, "-m", "gateway", "local", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def workspace_names(url: str) -> list[str]:
    """The names of all workspaces and functions."""
    document = "{ workspaces { nodes { name functions { nodes { name } } } } }"
    answer = httpx.post(f"{url}/graphql", json={"query": document}, trust_env=False, timeout=20).json()
    nodes = answer["data"]["workspaces"]["nodes"]
    return [f"{node['name']}/{function['name']}" for node in nodes for function in node["functions"]["nodes"]]


def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    """The port is named, with what to do, before anything is started."""
    with listen() as listener:
        port = listener.getsockname()[1]
        ended = run_to_its_end("--port", str(port), "--data-dir", str(tmp_path))
    message = f"can't listen on 127.0.0.1:{port}: Address already in use; choose another with --port"
    assert ended == (2, "", f"blue-gateway local: {message}\n")


def test_port_that_is_none_is_one_line(tmp_path: Path) -> None:
    """The reason is one sentence with what to do."""
    ended = run_to_its_end("--port", "99999", "--data-dir", str(tmp_path))
    message = "can't listen on 127.0.0.1:99999: bind(): port must be 0-65535; choose another with --port"
    assert ended == (2, "", f"blue-gateway local: {message}\n")


def test_host_that_is_none_is_one_line(tmp_path: Path) -> None:
    """The advice is another host: another port would not help."""
    code, printed, errors = run_to_its_end("--host", "300.1.1.1", "--data-dir", str(tmp_path))
    assert (code, printed) == (2, "")
    assert errors.startswith("blue-gateway local: can't listen on 300.1.1.1:8000: ")
    assert errors.endswith("; choose another with --host\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--loki-url", "foo"),
        ("--loki-url", "http://"),
        ("--builder-url", "ftp://x"),
        ("--prometheus-url", "http://a:b"),
        ("--step-timeout-s", "nan"),
        ("--step-timeout-s", "inf"),
    ],
)
def test_wrong_option_is_named(tmp_path: Path, option: str, value: str) -> None:
    """It is named before anything is started."""
    code, printed, errors = run_to_its_end(option, value, "--data-dir", str(tmp_path / "data"))
    assert (code, printed) == (2, "")
    assert f"error: argument {option}: must " in errors.splitlines()[-1]
    assert not (tmp_path / "data").exists()


def test_wrong_public_url_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that is used is named as one."""
    monkeypatch.setenv("PUBLIC_URL", "http://[bad")
    ended = run_to_its_end("--port", "0", "--data-dir", str(tmp_path))
    message = "PUBLIC_URL: must have a host, and after a colon a port of 1 to 65535"
    assert ended == (2, "", f"blue-gateway local: {message}\n")


def test_second_start_on_a_folder_is_one_line(tmp_path: Path) -> None:
    """The folder and the process that has it are named."""
    with locked_folder(tmp_path):
        ended = run_to_its_end("--port", "0", "--data-dir", str(tmp_path))
    message = f"--data-dir {tmp_path}: is in use by another local platform (process {os.getpid()}); "
    message += "stop it, or give this one a folder of its own"
    assert ended == (2, "", f"blue-gateway local: {message}\n")


def test_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    """A folder that can't be made is named with the system's reason."""
    (tmp_path / "file").write_text("")
    ended = run_to_its_end("--port", "0", "--data-dir", str(tmp_path / "file"))
    assert ended == (2, "", f"blue-gateway local: --data-dir {tmp_path / 'file'}: Not a directory\n")


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    """Ctrl-C ends the platform with code 0 in at most 5 s, and no process of it is left.

    On PATH is a `loki` that is another program of that name: the stand-in takes its place.
    """
    other = tmp_path / "bin" / "loki"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho linkage analysis; exit 2\n")
    other.chmod(0o755)
    path = f"{other.parent}:{os.environ['PATH']}"
    with running_platform(tmp_path / "data", "--empty", path=path) as platform:
        platform.await_line("loki did not start (exit code 2)")
        platform.await_line("The stand-in takes its place.")
        platform.await_line("NOT in a sandbox")
        url = platform.await_url()
        assert workspace_names(url) == []
        assert len(marked(platform.mark)) >= 7
        platform.process.send_signal(signal.SIGINT)
        assert platform.process.wait(timeout=6) == 0
        assert marked(platform.mark) == {}


AS_MAKE = """
import fcntl, signal, subprocess, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.call(sys.argv[1:]))
"""
"""Has its standard input as the session's terminal, takes the hang-up and waits, as make does."""


def test_terminal_that_hangs_up_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also below a process that gets the signal alone; foreign modules and settings change nothing."""
    for name in ("schema.py", "moto.py", "gateway.py"):
        (tmp_path / name).write_text("raise SystemExit('somebody else is here')")
    monkeypatch.setenv("BUILDER_SERVICE_URL", "zzz")
    monkeypatch.setenv(MARK, mark := new_mark())
    local = ["local", "--port", "0", "--runner", "python", "--empty", "--data-dir", str(tmp_path / "data")]
    master, terminal = os.openpty()
    with (tmp_path / "printed").open("w") as printed:
        started = subprocess.Popen(
            [sys.executable, "-P", "-c", AS_MAKE, sys.executable, "-P", "-m", "gateway", *local],
            cwd=tmp_path,
            stdin=terminal,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.close(terminal)
    try:
        deadline = time.monotonic() + 40
        while "Ready in" not in (text := (tmp_path / "printed").read_text()):
            assert started.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        os.close(master)
        assert started.wait(timeout=8) == 0
        await_none_left(mark, within_s=1)
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        started.wait(timeout=10)


def answers_to(url: str, host: str) -> int:
    """The status of a query that names this host."""
    asked = {"query": "{__typename}"}
    return httpx.get(
        f"{url}/graphql", params=asked, headers={"host": host}, trust_env=False, timeout=20
    ).status_code


def test_other_hosts_are_refused_on_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page on a name that was made to lead here gets nothing; the machine's own and PUBLIC_URL's are served."""
    monkeypatch.setenv("PUBLIC_URL", "https://Blue.example.com:8443")
    with running_platform(tmp_path, "--empty") as platform:
        url = platform.await_url()
        for host in ("localhost", "localhost:5173", "127.0.0.1:1", "[::1]", "[::1]:8000", "blue.example.com"):
            assert answers_to(url, host) == 200, host
        for host in ("evil.example.com", "127.0.0.1.evil.example.com:8000", "example.com", "0.0.0.0", "[::1", ""):
            assert answers_to(url, host) == 400, host


def test_any_host_is_served_elsewhere(tmp_path: Path) -> None:
    """Who listens for other machines is reached by names that nobody can know here."""
    with running_platform(tmp_path, "--empty", "--host", "0.0.0.0") as platform:
        url = platform.await_url()
        assert answers_to(url, "laptop.lan:8000") == 200


def test_deaths_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    """A killed stand-in is started again; after kill -9 of the platform nothing runs, and nothing is lost."""
    with running_platform(tmp_path) as platform:
        url = platform.await_url()
        assert workspace_names(url) == ["Samples/hello"]
        os.kill(platform.process_id("-m gateway.local.aws"), signal.SIGKILL)
        platform.await_line("dynamodb, s3 ended (signal 9)")
        platform.await_line("dynamodb, s3 is back")
        assert workspace_names(url) == ["Samples/hello"]
        platform.process.kill()
        await_none_left(platform.mark, within_s=3)
    with running_platform(tmp_path) as platform:
        url = platform.await_url()
        assert workspace_names(url) == ["Samples/hello"]
        platform.process.terminate()
        assert platform.process.wait(timeout=6) == 0
        assert marked(platform.mark) == {}
