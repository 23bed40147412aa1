"""Servers as processes of their own, for tests that talk to them from outside or send them signals."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens; `url` has no path."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def serving(
    command: Sequence[str],
    log_path: Path,
    *,
    announcement: str = r"listening on (http://[^\s\"]+)",
    environment: Mapping[str, str] | None = None,
    start_s: float = 30,
    stop_s: float = 30,
) -> Iterator[Served]:
    """Run a command until it has printed where it listens; SIGTERM ends it, and is expected to.

    What it prints is appended to `log_path`. AssertionError with its end where it does not start.
    """
    already = log_path.stat().st_size if log_path.exists() else 0
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command,
            env=os.environ | (environment or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Served(_await_announcement(process, log_path, already, announcement, start_s), process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=stop_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
            raise


def _await_announcement(
    process: subprocess.Popen[bytes], log_path: Path, already: int, announcement: str, start_s: float
) -> str:
    deadline = time.monotonic() + start_s
    while True:
        printed = log_path.read_bytes()[already:].decode(errors="replace")
        if found := re.search(announcement, printed):
            return found[1]
        ended = process.poll() is not None
        assert not ended, f"{process.args!r} ended with {process.returncode}:\n{printed[-3000:]}"
        assert time.monotonic() < deadline, f"nothing listens after {start_s} s:\n{printed[-3000:]}"
        time.sleep(0.02)
