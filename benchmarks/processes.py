"""What a process uses, read from /proc."""

import os
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


def system_ms(pid: int) -> float:
    """What of it was in the kernel, which on loopback does the receiver's part too."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[12]) * 1000 / os.sysconf("SC_CLK_TCK")
