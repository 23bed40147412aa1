"""The values of an expression at a time, as Prometheus computes them."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from gateway.local.prometheus.exposition import Labels
from gateway.local.prometheus.promql import Aggregation, Constant, Expression, Product, Rate, Selector
from gateway.local.prometheus.samples import SampleStore, Series

MAX_GAPS = 1.1
"""A rate runs on to the end of its range over so many mean distances of its samples, else over half of one."""

Vector = dict[Labels, float]

COMBINE: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "max": max,
    "min": min,
    "count": lambda values: float(len(values)),
}


class ExecutionError(Exception):
    """The query is well-formed, and the samples have no answer to it."""


class Evaluator:
    """Evaluates expressions over the samples of one moment; series are looked up once."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._selected: dict[Selector, list[Series]] = {}

    def evaluate(self, expression: Expression, time_ms: int) -> Vector:
        """The series of the expression and their values; those without one are absent."""
        match expression:
            case Constant(value):
                return {(): value}
            case Selector():
                values = ((series, series.value_at(time_ms)) for series in self._select(expression))
                return {_labels(series, "__name__"): value for series, value in values if value is not None}
            case Rate(selector, range_ms):
                rates = ((series, _rate(series, range_ms, time_ms)) for series in self._select(selector))
                return {_labels(series): value for series, value in rates if value is not None}
            case Aggregation(operator, by, inner):
                groups: dict[Labels, list[float]] = {}
                for labels, value in self.evaluate(inner, time_ms).items():
                    groups.setdefault(_keep(labels, by), []).append(value)
                return {labels: COMBINE[operator](values) for labels, values in groups.items()}
            case Product():
                return _multiply(
                    self.evaluate(expression.left, time_ms), self.evaluate(expression.right, time_ms), expression
                )

    def _select(self, selector: Selector) -> list[Series]:
        if selector not in self._selected:
            self._selected[selector] = self._store.select(selector.matchers)
        return self._selected[selector]


def _labels(series: Series, *kept: str) -> Labels:
    """A function's result has no metric name, a plain selector's has."""
    return tuple(sorted(pair for pair in series.labels.items() if pair[0] != "__name__" or kept))


def _keep(labels: Labels, names: Sequence[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


def _multiply(left: Vector, right: Vector, product: Product) -> Vector:
    """Each left series with the one right series of the same `on` labels, which lends it the `include` labels."""
    ones: dict[Labels, tuple[Labels, float]] = {}
    for labels, value in right.items():
        group = _keep(labels, product.on)
        if group in ones:
            shown = ", ".join(f'{name}="{text}"' for name, text in group)
            raise ExecutionError(
                f"found duplicate series for the match group {{{shown}}} on the right hand-side of the operation"
                ";many-to-many matching not allowed: matching labels must be unique on one side"
            )
        ones[group] = labels, value
    result: Vector = {}
    for labels, value in left.items():
        match = ones.get(_keep(labels, product.on))
        if match is None:
            continue
        own = [pair for pair in labels if pair[0] not in product.include and pair[0] != "__name__"]
        joined = tuple(sorted([*own, *_keep(match[0], product.include)]))
        if joined in result:
            raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
        result[joined] = value * match[1]
    return result


def _rate(series: Series, range_ms: int, time_ms: int) -> float | None:
    """The increase per second, extrapolated to the range's ends as Prometheus does (extrapolatedRate)."""
    samples = series.between(time_ms - range_ms, time_ms)
    if len(samples) < 2:
        return None
    (first_ms, first), (last_ms, last) = samples[0], samples[-1]
    pairs = pairwise(samples)
    increase = last - first + sum(before for (_, before), (_, after) in pairs if after < before)
    sampled_ms = last_ms - first_ms
    gap_ms = sampled_ms / (len(samples) - 1)
    to_start_ms: float = first_ms - (time_ms - range_ms)
    if increase > 0 and first >= 0:  # a counter can't have been below zero
        to_start_ms = min(to_start_ms, sampled_ms * (first / increase))
    to_end_ms = time_ms - last_ms
    covered_ms = sampled_ms + sum(
        distance if distance < gap_ms * MAX_GAPS else gap_ms / 2 for distance in (to_start_ms, to_end_ms)
    )
    return increase * (covered_ms / sampled_ms) / (range_ms / 1000)
