"""What the gateway asks Prometheus: series of many functions at once, two calls for each kind, window and step."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from gateway.errors import PrometheusConnectionError, PrometheusError
from gateway.records.clock import Clock, system_clock
from gateway.records.metrics import MetricKind, MetricPointRecord, MetricQuery, MetricSeriesRecord
from gateway.upstream.prometheus.promql import FUNCTION_LABEL, UNITS, write_promql
from gateway.upstream.query_client import AnswerTooLargeError, NoAnswerError, QueryClient

MAX_ERROR_CHARACTERS = 500
"""Prometheus repeats parts of the query in its errors."""
TRANSIENT_ERRORS = frozenset({"timeout", "canceled", "unavailable"})
"""errorTypes that another try may not meet."""
MAX_REMEMBERED_TIMES = 16_384
"""Points fall on multiples of the step: the metrics of all functions have the same times."""

Points = dict[str, tuple[MetricPointRecord, ...]]
Answer = Mapping[MetricQuery, MetricSeriesRecord | PrometheusError]


class Prometheus:
    """Reads functions' metrics; `client` comes from `open_query_client` and stays the caller's."""

    def __init__(self, client: QueryClient, *, clock: Clock = system_clock) -> None:
        self._client = client
        self._clock = clock

    async def query_series(self, queries: Sequence[MetricQuery]) -> Answer:
        """Read all series, those of one kind, window and step with one instant and one range query.

        Every query has an entry; a function without pods has no points and no current value. What fails is
        the PrometheusError of the queries that it took part in.
        """
        groups: defaultdict[tuple[MetricKind, int, int], list[MetricQuery]] = defaultdict(list)
        for query in queries:
            groups[query.kind, query.window_s, query.step_s].append(query)
        now_s = self._clock().timestamp()
        answers = await asyncio.gather(
            *(self._query_group(now_s, *group, members) for group, members in groups.items())
        )
        return {query: series for answer in answers for query, series in answer.items()}

    async def check(self) -> None:
        """Have the query engine answer a constant; raises PrometheusError when it can't."""
        await self._post("/api/v1/query", {"query": "vector(1)"}, "a constant")

    async def count_series(self, selector: str) -> int:
        """How many series there are now of `selector`, such as `up{job="x"}`."""
        answer = await self._post("/api/v1/query", {"query": f"count({selector})"}, selector)
        try:
            return int(float(answer[0]["value"][1])) if answer else 0
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PrometheusError(f"Prometheus' answer for {selector} has no number.") from error

    async def _query_group(
        self, now_s: float, kind: MetricKind, window_s: int, step_s: int, members: Sequence[MetricQuery]
    ) -> Answer:
        promql = write_promql(kind, (query.function_id for query in members))
        # Multiples of the step, as Grafana asks: the same points come with every refresh.
        end_s = int(now_s // step_s) * step_s
        start_s = end_s - window_s // step_s * step_s
        ranged = {"query": promql, "start": str(start_s), "end": str(end_s), "step": str(step_s)}
        instant = {"query": promql, "time": f"{now_s:.3f}"}
        try:
            current, points = await _both(
                self._query("/api/v1/query", instant, f"{kind.value} now"),
                self._query("/api/v1/query_range", ranged, f"{kind.value} over {window_s} s"),
            )
        except PrometheusError as error:
            return dict.fromkeys(members, error)
        return {
            query: MetricSeriesRecord(
                unit=UNITS[kind],
                current=current[query.function_id][-1].value if query.function_id in current else None,
                points=points.get(query.function_id, ()),
                instant_query=promql,
                range_query=promql,
            )
            for query in members
        }

    async def _query(self, path: str, form: Mapping[str, str], what: str) -> Points:
        """The points of each function that has any."""
        answer = await self._post(path, form, what)
        try:
            read = {
                series["metric"][FUNCTION_LABEL]: _read_points(series.get("values") or [series["value"]])
                for series in answer
            }
        except (KeyError, TypeError, ValueError) as error:
            raise PrometheusError(f"Prometheus' answer for {what} has no series of functions.") from error
        return {function_id: points for function_id, points in read.items() if points}

    async def _post(self, path: str, form: Mapping[str, str], what: str) -> list[Any]:
        """Send a query as a form, whose length nothing limits; the result's series."""
        try:
            answer = await self._client.post(path, form)
        except NoAnswerError as error:
            raise PrometheusConnectionError(f"Prometheus did not answer for {what}: {error}.") from error
        except AnswerTooLargeError as error:
            message = f"Prometheus' answer for {what} has {error}; ask for fewer functions or a longer step."
            raise PrometheusError(message) from error
        try:
            body = orjson.loads(answer.content)
            if body["status"] == "success":
                return list(body["data"]["result"])
            text, kind = f"{body['errorType']}: {body['error']}", str(body["errorType"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            text, kind = answer.text, ""
        raise PrometheusError(
            f"Prometheus refused {what} with status {answer.status}: {text[:MAX_ERROR_CHARACTERS]}",
            retryable=kind in TRANSIENT_ERRORS or answer.is_transient,
        )


async def _both(one: Coroutine[Any, Any, Points], other: Coroutine[Any, Any, Points]) -> tuple[Points, Points]:
    """Wait for both; when one fails the other is cancelled, and the failure raised as it is."""
    try:
        async with asyncio.TaskGroup() as calls:
            first, second = calls.create_task(one), calls.create_task(other)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return first.result(), second.result()


def _read_points(samples: Sequence[tuple[float, str]]) -> tuple[MetricPointRecord, ...]:
    """Leave out what no chart can show: NaN and the infinities."""
    return tuple(
        MetricPointRecord(_time_of(time_s), value)
        for time_s, text in samples
        if math.isfinite(value := float(text))
    )


@lru_cache(maxsize=MAX_REMEMBERED_TIMES)
def _time_of(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
