"""The Prometheus client against the stand-in over a socket: calls, values, alignment, escaping and errors."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.errors import PrometheusConnectionError, PrometheusError
from gateway.local.processes import listen, url_of
from gateway.local.prometheus import create_app
from gateway.local.prometheus.samples import SampleStore
from gateway.records.metrics import MetricKind, MetricPointRecord, MetricQuery, MetricSeriesRecord
from gateway.telemetry import UpstreamCall, recording_calls
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.query_client import open_query_client
from tests.observability import label, serving, verbose_app

NOW = datetime(2025, 12, 7, 3, 0, 7, 500_000, tzinfo=UTC)
INSTANT = UpstreamCall("prometheus", "POST /api/v1/query")
RANGE = UpstreamCall("prometheus", "POST /api/v1/query_range")
pytestmark = pytest.mark.asyncio(loop_scope="module")


def query(function_id: str, kind: MetricKind, window_s: int = 120, step_s: int = 15) -> MetricQuery:
    """A query as the schema makes it."""
    return MetricQuery(function_id=function_id, kind=kind, window_s=window_s, step_s=step_s)


def filled_store() -> SampleStore:
    """Four minutes of fn-0000 (two pods of two containers), fn-0001 … fn-0049 (one pod), labels given twice.

    Each container counts 0.25 CPU seconds a second and uses 1000 bytes; cAdvisor's sum over the pod is there too.
    """
    store = SampleStore()
    for age_s in range(240, -1, -2):
        samples = []
        for number in range(50):
            for pod in [f"pod-{number}-a", f"pod-{number}-b"][: 2 if number == 0 else 1]:
                place = {"namespace": "default", "pod": pod}
                for instance in ("one", "two"):
                    labels = {"label_function_id": f"fn-{number:04}", "label_faas": "true", "instance": instance}
                    samples.append((label("kube_pod_labels", **place, **labels), 1.0))
                for container, factor in (("app", 1), ("proxy", 1), ("", 2)):
                    used = label("container_cpu_usage_seconds_total", **place, container=container)
                    samples.append((used, 0.25 * factor * (1000 - age_s)))
                    held = label("container_memory_working_set_bytes", **place, container=container)
                    samples.append((held, 1000.0 * factor))
        store.add_scrape(round((NOW - timedelta(seconds=age_s)).timestamp() * 1000), samples)
    return store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A client of a stand-in that holds `filled_store`, at the time NOW."""
    app = create_app(tmp_path_factory.mktemp("prometheus"), None, store=filled_store())
    async with serving(app) as url, open_query_client("prometheus", url) as client:
        yield Prometheus(client, clock=lambda: NOW)


async def read(prometheus: Prometheus, wanted: MetricQuery) -> MetricSeriesRecord:
    """One series."""
    found = (await prometheus.query_series([wanted]))[wanted]
    assert isinstance(found, MetricSeriesRecord), found
    return found


@pytest.mark.parametrize(
    ("kind", "unit", "of_first", "of_others"),
    [
        (MetricKind.CPU, "cores", 1.0, 0.5),
        (MetricKind.MEMORY, "bytes", 4000.0, 2000.0),
        (MetricKind.REPLICAS, "pods", 2.0, 1.0),
    ],
)
async def test_many_functions_cost_two_calls(
    prometheus: Prometheus, kind: MetricKind, unit: str, of_first: float, of_others: float
) -> None:
    """50 functions are one instant and one range query; containers and pods are summed, copies of labels not."""
    queries = [query(f"fn-{number:04}", kind) for number in range(50)]
    with recording_calls() as calls:
        found = await prometheus.query_series(queries)
    assert sorted(calls, key=lambda call: call.operation) == [INSTANT, RANGE]
    assert list(found) == queries
    for number, series in enumerate(found.values()):
        assert isinstance(series, MetricSeriesRecord)
        assert (series.unit, len(series.points)) == (unit, 9)
        expected = of_first if number == 0 else of_others
        assert series.current == pytest.approx(expected)
        assert [point.value for point in series.points] == pytest.approx([expected] * 9)


async def test_points_lie_on_multiples_of_the_step(prometheus: Prometheus) -> None:
    """The range ends with the last full step, so that a refresh shows the same points."""
    series = await read(prometheus, query("fn-0001", MetricKind.REPLICAS, window_s=70, step_s=20))
    end = datetime(2025, 12, 7, 3, 0, tzinfo=UTC)
    assert series.points == tuple(
        MetricPointRecord(timestamp=end - timedelta(seconds=age_s), value=1.0) for age_s in (60, 40, 20, 0)
    )


async def test_kinds_windows_and_steps_are_asked_for_apart(prometheus: Prometheus) -> None:
    """Each combination is two calls."""
    queries = [query("fn-0001", MetricKind.CPU), query("fn-0001", MetricKind.MEMORY)]
    queries += [query("fn-0001", MetricKind.CPU, step_s=30), query("fn-0001", MetricKind.CPU, window_s=60)]
    with recording_calls() as calls:
        found = await prometheus.query_series(queries)
    assert (len(calls), set(found)) == (8, set(queries))
    assert await prometheus.query_series([]) == {}


@pytest.mark.parametrize("function_id", ["fn-9999", "fn-....", "fn-0001|fn-0002", 'x"} or vector(1) #', "a\\b\nc"])
async def test_function_without_pods_has_no_values(prometheus: Prometheus, function_id: str) -> None:
    """An unknown id is no error, and nothing in an id is an expression or ends the matcher."""
    for kind in MetricKind:
        series = await read(prometheus, query(function_id, kind))
        assert (series.current, series.points) == (None, ())


async def test_queries_that_were_sent_are_told(prometheus: Prometheus) -> None:
    """Developers can paste what they see into Prometheus."""
    series = await read(prometheus, query("fn-0001", MetricKind.CPU))
    assert series.instant_query == series.range_query
    assert series.instant_query == (
        "sum by (label_function_id) (sum by (namespace, pod) (rate(container_cpu_usage_seconds_total"
        '{container!=""}[1m])) * on(namespace, pod) group_left(label_function_id) '
        "max by (namespace, pod, label_function_id) "
        '(kube_pod_labels{label_function_id=~"fn-0001"}))'
    )


async def test_check_has_the_query_engine_answer(prometheus: Prometheus) -> None:
    """A health check is one cheap query."""
    with recording_calls() as calls:
        await prometheus.check()
    assert calls == [INSTANT]


async def test_values_no_chart_can_show_are_left_out() -> None:
    """NaN and the infinities are dropped from the points, and make the current value null."""

    async def answer(request: Request) -> Response:
        samples: dict[str, object] = {"values": [[8, "+Inf"], [9, "1.5e-3"], [10.25, "NaN"], [11, "-Inf"]]}
        if request.url.path == "/api/v1/query":
            samples = {"value": [10, "NaN"]}
        result = [{"metric": {"label_function_id": "fn-1"}, **samples}]
        return JSONResponse({"status": "success", "data": {"result": result}})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    async with serving(app) as url, open_query_client("prometheus", url) as client:
        series = await read(Prometheus(client), query("fn-1", MetricKind.CPU))
    assert series.current is None
    assert series.points == (MetricPointRecord(timestamp=datetime.fromtimestamp(9, UTC), value=0.0015),)


@pytest.mark.parametrize(
    ("status", "body", "message", "retryable"),
    [
        (
            400,
            json.dumps({"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}),
            "with status 400: bad_data: exceeded maximum resolution",
            False,
        ),
        (
            503,
            json.dumps({"status": "error", "errorType": "timeout", "error": "query timed out"}),
            "with status 503: timeout: query timed out",
            True,
        ),
        (502, "<html>\n bad gateway", "with status 502: <html> bad gateway", True),
        (404, "", "with status 404: Not Found", False),
        (200, '{"status": "success", "data": {"result": [{"metric": {}}]}}', "has no series of functions", False),
        (200, "[]", "with status 200: []", False),
    ],
)
async def test_refusal_of_prometheus_is_the_error_of_its_queries(
    status: int, body: str, message: str, retryable: bool
) -> None:
    """What Prometheus says is told; every query of the call has the error, and nothing is raised."""

    async def answer(_request: Request) -> Response:
        return PlainTextResponse(body, status_code=status)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    queries = [query("fn-1", MetricKind.CPU), query("fn-2", MetricKind.CPU)]
    async with serving(app) as url, open_query_client("prometheus", url) as client:
        found = await Prometheus(client).query_series(queries)
    assert list(found) == queries
    for error in found.values():
        assert isinstance(error, PrometheusError)
        assert message in error.message
        assert (type(error), error.retryable) == (PrometheusError, retryable)


async def test_failure_of_one_kind_leaves_the_others(tmp_path: Path) -> None:
    """Only the queries that took part in a failed call have its error."""
    stand_in = create_app(tmp_path, None, store=filled_store())

    async def refuse_memory(request: Request) -> Response:
        text = str((await request.form())["query"])
        if "memory" in text and request.url.path.endswith("_range"):
            return PlainTextResponse("too much", status_code=422)
        async with open_query_client("prometheus", url) as client:
            answer = await client.post(
                request.url.path, {name: str(value) for name, value in (await request.form()).items()}
            )
        return Response(answer.content, answer.status, media_type="application/json")

    front = Starlette(routes=[Route("/{path:path}", refuse_memory, methods=["POST"])])
    cpu, memory = query("fn-0001", MetricKind.CPU), query("fn-0001", MetricKind.MEMORY)
    async with (
        serving(stand_in) as url,
        serving(front) as front_url,
        open_query_client("prometheus", front_url) as client,
    ):
        found = await Prometheus(client, clock=lambda: NOW).query_series([cpu, memory])
    assert isinstance(found[cpu], MetricSeriesRecord)
    error = found[memory]
    assert isinstance(error, PrometheusError)
    assert error.message == "Prometheus refused memory over 120 s with status 422: too much"


async def test_answer_that_is_too_large_is_an_error() -> None:
    """No more than 64 MB are read; the error says what would make it less."""
    async with serving(verbose_app(65)) as url, open_query_client("prometheus", url) as client:
        with pytest.raises(PrometheusError, match="has more than 64 MB; ask for fewer functions") as raised:
            await Prometheus(client).check()
    assert (type(raised.value), raised.value.retryable) == (PrometheusError, False)


async def test_prometheus_that_is_away_is_a_connection_error() -> None:
    """Nothing listens: the error says so, and that another try may help."""
    with listen() as listener:
        url = url_of(listener)
    wanted = query("fn-1", MetricKind.CPU)
    async with open_query_client("prometheus", url) as client:
        error = (await Prometheus(client).query_series([wanted]))[wanted]
        assert isinstance(error, PrometheusConnectionError)
        assert error.retryable
        with pytest.raises(PrometheusConnectionError, match="did not answer for a constant"):
            await Prometheus(client).check()
