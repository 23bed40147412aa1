"""The processes a test has started, all generations of them, found by a mark in their environment."""

import time
import uuid
from pathlib import Path

MARK = "BLUE_TEST_MARK"


def new_mark() -> str:
    """A value for the environment variable MARK that no other process has."""
    return uuid.uuid4().hex


def marked(mark: str) -> dict[int, str]:
    """Command lines of the running processes that carry the mark, by process id."""
    wanted = f"{MARK}={mark}".encode()
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


def await_none_left(mark: str, within_s: float) -> None:
    """Return when no process carries the mark; AssertionError with their command lines after `within_s`."""
    deadline = time.monotonic() + within_s
    while left := marked(mark):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.02)
