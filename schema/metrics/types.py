"""Metrics as the API shows them."""

import asyncio
import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Self, cast

import strawberry

from gateway.errors import GatewayError, InvalidInputError
from gateway.records.metrics import MetricKind, MetricQuery, MetricSeriesRecord
from schema.context import Info
from schema.metrics.loaders import MetricSeriesByQueryLoader
from schema.selection import selected_fields

MIN_WINDOW_S = 60
"""CPU is a rate over one minute: a shorter window shows nothing more."""
MAX_WINDOW_S = 30 * 24 * 3600
"""Prometheus keeps 15 days unless told otherwise, and many keep a month."""
MAX_STEPS = 11_000
"""Prometheus refuses more points a series."""
DEFAULT_STEPS = 240
"""A chart is a few hundred pixels wide."""
ROUND_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
"""Steps that divide minutes, hours or days: points fall on times people read."""


@strawberry.enum(description="Whether all metrics that were asked for could be read.")
class MetricsStatus(enum.Enum):
    """PARTIAL: those that could not be read are null, each with an error of its own."""

    SUCCESS = "success"
    PARTIAL = "partial"


@strawberry.type(description="A sample of a series.")
class MetricPoint:
    """A sample."""

    timestamp: datetime = strawberry.field(description="The sample's time, a multiple of the step.")
    value: float = strawberry.field(description="The value, in the unit of the series.")


@strawberry.type(description="One metric of a function.")
class MetricSeries:
    """A series and its figures."""

    unit: str = strawberry.field(description="What the values count: cores, bytes or pods.")
    current: float | None = strawberry.field(description="The newest value; null when the function has no pod.")
    average: float | None = strawberry.field(description="The mean of the points; null where there is none.")
    peak: float | None = strawberry.field(description="The largest of the points; null where there is none.")
    points: list[MetricPoint] = strawberry.field(
        description="The values over the window, oldest first, one a step; times without a pod are left out."
    )
    instant_query: str = strawberry.field(
        description="The PromQL that `current` was read with, for developer tools."
    )
    range_query: str = strawberry.field(
        description="The PromQL that `points` were read with, for developer tools."
    )

    @classmethod
    def from_record(cls, record: MetricSeriesRecord) -> Self:
        """Make the series of a record."""
        values = [point.value for point in record.points]
        return cls(
            unit=record.unit,
            current=record.current,
            average=sum(values) / len(values) if values else None,
            peak=max(values, default=None),
            points=cast("list[MetricPoint]", record.points),  # they have the same attributes
            instant_query=record.instant_query,
            range_query=record.range_query,
        )


@strawberry.type(description="What a function's pods use. Only the metrics that are selected are read.")
class FunctionMetrics:
    """The metrics of a function over one window."""

    status: MetricsStatus = strawberry.field(description="PARTIAL when some of the metrics could not be read.")
    window_seconds: int = strawberry.field(description="The length of the window, which ends now.")
    step_seconds: int = strawberry.field(description="The distance of two points.")
    series: strawberry.Private[Mapping[MetricKind, MetricSeriesRecord | GatewayError]]

    @strawberry.field(description="Cores used, 1-minute rate, summed over the function's pods.")
    def cpu(self) -> MetricSeries | None:
        """The CPU series, or what kept it from being read."""
        return self._read(MetricKind.CPU)

    @strawberry.field(description="Working-set bytes, summed over the function's pods.")
    def memory(self) -> MetricSeries | None:
        """The memory series, or what kept it from being read."""
        return self._read(MetricKind.MEMORY)

    @strawberry.field(description="Pods of the function.")
    def replicas(self) -> MetricSeries | None:
        """The series of the number of pods, or what kept it from being read."""
        return self._read(MetricKind.REPLICAS)

    def _read(self, kind: MetricKind) -> MetricSeries:
        found = self.series[kind]
        if isinstance(found, GatewayError):
            raise found
        return MetricSeries.from_record(found)


async def resolve_metrics(info: Info, function_id: str, window: int, step: int | None) -> FunctionMetrics:
    """Read the selected metrics of one function; `function_id` has been validated.

    What can't be read is an error on its own field; when nothing can, it is raised here. Errors:
    InvalidInputError that names the argument, PrometheusError, PrometheusConnectionError.
    """
    step_s = _check_step(window, step)
    names = selected_fields(info)
    kinds = [kind for kind in MetricKind if kind.value in names]
    if not kinds and "status" in names:
        kinds = list(MetricKind)  # whether they can be read is what was asked for
    loader = info.context.loader(MetricSeriesByQueryLoader)
    series: dict[MetricKind, MetricSeriesRecord | GatewayError] = {}
    loaded = await asyncio.gather(
        *(
            loader.load(MetricQuery(function_id=function_id, kind=kind, window_s=window, step_s=step_s))
            for kind in kinds
        ),
        return_exceptions=True,
    )
    for kind, found in zip(kinds, loaded, strict=True):
        if isinstance(found, BaseException) and not isinstance(found, GatewayError):
            raise found
        series[kind] = cast("MetricSeriesRecord | GatewayError", found)  # every query has one
    errors = [found for found in series.values() if isinstance(found, GatewayError)]
    if errors and len(errors) == len(series):
        raise errors[0]
    return FunctionMetrics(
        status=MetricsStatus.PARTIAL if errors else MetricsStatus.SUCCESS,
        window_seconds=window,
        step_seconds=step_s,
        series=series,
    )


def _check_step(window: int, step: int | None) -> int:
    """The step in seconds: the one given, or the smallest round one with at most 240 points."""
    if not MIN_WINDOW_S <= window <= MAX_WINDOW_S:
        raise InvalidInputError(
            f"window must be {MIN_WINDOW_S} to {MAX_WINDOW_S} seconds; it is {window}.", field="window"
        )
    if step is None:
        return next(step_s for step_s in ROUND_STEPS_S if window <= step_s * DEFAULT_STEPS)
    if not 1 <= step <= window:
        raise InvalidInputError(f"step must be 1 to {window} seconds, the window; it is {step}.", field="step")
    if window / step > MAX_STEPS:
        raise InvalidInputError(
            f"step must be at least {-(-window // MAX_STEPS)} seconds for this window: Prometheus gives "
            f"{MAX_STEPS:,} points at most; it is {step}.",
            field="step",
        )
    return step
