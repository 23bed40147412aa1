"""Who started the platform: the process above it and the terminal; it ends with them unless it was detached."""

import asyncio
import os
import signal

POLL_S = 0.5


async def starter_ended() -> None:
    """Return when the parent (make, a shell) or the terminal is gone; never for who was detached from them."""
    parent, terminal = os.getppid(), _has_terminal()
    if parent == 1 or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        await asyncio.Event().wait()
    # The kernel has no event for the one, and tells of the other the session's first process alone: make waits on.
    while os.getppid() == parent and _has_terminal() >= terminal:  # noqa: ASYNC110 - the same
        await asyncio.sleep(POLL_S)


def _has_terminal() -> bool:
    """Whether there is a controlling terminal; one that hangs up is taken from the whole session."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY))
    except OSError:
        return False
    return True
