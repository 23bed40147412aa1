"""Becomes a command that dies with the process that started it; `processes.spawn` runs this file by path.

It stands alone (no import of this project) because it runs with `-I -S`, which keeps its cost near 20 ms.
Linux kills the command when its parent ends (PR_SET_PDEATHSIG, which survives exec). Elsewhere this process
stays as the command's parent and looks five times a second whether its own parent is still there.
"""

import ctypes
import os
import signal
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
WATCH_INTERVAL_S = 0.2


def bind_to_parent(parent: int) -> bool:
    """Have the kernel kill this process with its parent; False where the kernel can't."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (AttributeError, OSError):
        return False
    if prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        return False
    if os.getppid() != parent:  # it ended before the call above took hold
        os._exit(1)
    return True


def run_watched(parent: int, command: list[str]) -> int:
    """Run `command` as a child, kill the whole process group when `parent` ends, return the exit code."""
    child = os.posix_spawnp(command[0], command, os.environ)

    def forward(signum: int, _frame: FrameType | None) -> None:
        os.kill(child, signum)

    signal.signal(signal.SIGTERM, forward)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        time.sleep(WATCH_INTERVAL_S)


def main(how: str, parent: int, command: list[str]) -> int:
    """Become `command`, bound to `parent`; `how` is `kernel` (where it can) or `watch`."""
    if how == "kernel" and bind_to_parent(parent):
        os.execvp(command[0], command)  # noqa: S606 - an argument vector, no shell
    return run_watched(parent, command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
    except OSError as error:
        sys.exit(f"{sys.argv[3]}: {error.strerror}")
