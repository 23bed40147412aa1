"""Metrics of a function, as Prometheus computes them."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class MetricKind(enum.Enum):
    """What is measured."""

    CPU = "cpu"
    MEMORY = "memory"
    REPLICAS = "replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricQuery:
    """One metric of one function over a window that ends now; hashable, a dataloader's key."""

    function_id: str
    kind: MetricKind
    window_s: int
    step_s: int


class MetricPointRecord(NamedTuple):
    """One sample; a tuple, since a page has 700 of them, and a frozen dataclass takes thrice as long to make."""

    timestamp: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSeriesRecord:
    """The newest value and the samples of the window, oldest first."""

    unit: str
    current: float | None
    points: tuple[MetricPointRecord, ...]
    instant_query: str
    range_query: str
