"""CPU and memory of one app, attributed to its pods; counters go on over restarts of workers and versions."""

from collections import defaultdict
from typing import Protocol


class Metered(Protocol):
    """What uses CPU and memory on behalf of a pod."""

    pod: str

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far and resident bytes now."""


class Usage:
    """Sums the workers of an app by pod."""

    def __init__(self) -> None:
        self._workers: set[Metered] = set()
        self._ended_cpu_s: defaultdict[str, float] = defaultdict(float)

    def add(self, worker: Metered) -> None:
        """Count a worker that was started."""
        self._workers.add(worker)

    def remove(self, worker: Metered) -> None:
        """Keep the CPU time of a worker that has ended, and nothing else of it."""
        self._workers.remove(worker)
        self._ended_cpu_s[worker.pod] += worker.usage()[0]

    def of(self, pod: str) -> tuple[float, int]:
        """CPU seconds so far and resident bytes now of one pod."""
        measured = [worker.usage() for worker in self._workers if worker.pod == pod]
        cpu_s = self._ended_cpu_s[pod] + sum(cpu_s for cpu_s, _ in measured)
        return cpu_s, sum(rss_bytes for _, rss_bytes in measured)
