"""`gateway` that notes the CPU of handing out events: the path of a file for it, then the gateway's arguments."""

import asyncio
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

from gateway.cli import main
from schema.transport.broadcasts import Broadcast

_FORM = struct.Struct("<q")
_serve = Broadcast._serve  # noqa: SLF001 - the one place where events are handed out


def spent_ms(path: Path) -> float:
    """The thread's CPU time of all hand-outs so far, in the kernel too."""
    (spent_ns,) = _FORM.unpack(path.read_bytes())
    return float(spent_ns) / 1e6


def note_in(path: str) -> None:
    """Have the hand-outs measured, from an event's execution until its frames are written; a file has their sum.

    uvloop writes at the end of a round, after the callbacks of all that happened in it. So the measure ends with
    the next round, and counts what else happened in this one.
    """
    file, spent_ns = os.open(path, os.O_RDWR | os.O_CREAT), 0
    os.pwrite(file, _FORM.pack(0), 0)

    def note(began_ns: int) -> None:
        nonlocal spent_ns
        spent_ns += time.thread_time_ns() - began_ns
        os.pwrite(file, _FORM.pack(spent_ns), 0)

    async def serve(self: Broadcast, watcher: Any) -> None:
        began_ns = time.thread_time_ns()
        await _serve(self, watcher)
        asyncio.get_running_loop().call_soon(note, began_ns)

    setattr(Broadcast, "_serve", serve)  # noqa: B010 - mypy refuses the plain assignment


if __name__ == "__main__":
    note_in(sys.argv[1])
    sys.exit(main(sys.argv[2:]))
