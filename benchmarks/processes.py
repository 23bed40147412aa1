"""What a process uses, read from /proc."""

import re
from pathlib import Path


def cpu_ms(pid: int) -> float:
    """What it has used so far, all threads, by the scheduler's own account."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def resident_kb(pid: int) -> float:
    """Its resident memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])
