"""Metrics of a function, as Prometheus computes them."""

import enum
from dataclasses import dataclass
from datetime import datetime


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPointRecord:
    """One sample."""

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
