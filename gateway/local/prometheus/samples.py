"""Series and their samples, in memory; bounded by age and number."""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.local.prometheus.exposition import Labels
from gateway.local.selectors import Matcher, accepts_all

RETENTION_MS = 24 * 3600 * 1000
"""A day of work on one machine."""
MAX_SAMPLES = 4_000_000
"""64 MB at 16 bytes each: three series of 30 pods for a day."""
LOOKBACK_MS = 5 * 60 * 1000
"""Prometheus' own: how long a series counts after its last sample, unless it is marked as ended."""


@dataclass(slots=True)
class Series:
    """Samples in the order of their times; a value of NaN marks where the series ended."""

    labels: Mapping[str, str]
    times_ms: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))

    def value_at(self, time_ms: int) -> float | None:
        """The newest value not after `time_ms` and not older than the lookback."""
        index = bisect_right(self.times_ms, time_ms) - 1
        if index < 0 or self.times_ms[index] < time_ms - LOOKBACK_MS or math.isnan(self.values[index]):
            return None
        return self.values[index]

    def between(self, start_ms: int, end_ms: int) -> list[tuple[int, float]]:
        """The samples of a range, both ends included, without the marks."""
        indices = range(bisect_left(self.times_ms, start_ms), bisect_right(self.times_ms, end_ms))
        return [(self.times_ms[i], self.values[i]) for i in indices if not math.isnan(self.values[i])]

    def drop_before(self, time_ms: int) -> None:
        """Forget older samples."""
        index = bisect_left(self.times_ms, time_ms)
        del self.times_ms[:index]
        del self.values[:index]


class SampleStore:
    """All series. Not for more than one thread."""

    def __init__(self, series: Mapping[Labels, Series] | None = None, *, max_samples: int = MAX_SAMPLES) -> None:
        self._series = dict(series or {})
        self._max_samples = max_samples

    @property
    def series(self) -> Mapping[Labels, Series]:
        """Every series by its labels."""
        return self._series

    def add_scrape(self, time_ms: int, samples: Iterable[tuple[Labels, float]]) -> None:
        """Add one scrape; the series that it lacks have ended. A failed scrape is one without samples."""
        found = {labels: value for labels, value in samples if not math.isnan(value)}
        for labels, value in found.items():
            if labels not in self._series:
                self._series[labels] = Series(dict(labels))
            self._append(self._series[labels], time_ms, value)
        for labels, series in self._series.items():
            if labels not in found and not math.isnan(series.values[-1]):
                self._append(series, time_ms, math.nan)

    def select(self, matchers: tuple[Matcher, ...]) -> list[Series]:
        """The series whose labels meet every condition."""
        return [series for series in self._series.values() if accepts_all(matchers, series.labels)]

    def trim(self, now_ms: int) -> None:
        """Forget what is over a day old, and the older half of the time kept while there are too many samples."""
        self._drop_before(now_ms - RETENTION_MS)
        while sum(len(series.times_ms) for series in self._series.values()) > self._max_samples:
            oldest_ms = min(series.times_ms[0] for series in self._series.values())
            self._drop_before((oldest_ms + now_ms) // 2 + 1)

    def _drop_before(self, time_ms: int) -> None:
        for labels, series in list(self._series.items()):
            series.drop_before(time_ms)
            if not series.times_ms:
                del self._series[labels]

    @staticmethod
    def _append(series: Series, time_ms: int, value: float) -> None:
        if not series.times_ms or series.times_ms[-1] < time_ms:  # a clock set back would unsort them
            series.times_ms.append(time_ms)
            series.values.append(value)
