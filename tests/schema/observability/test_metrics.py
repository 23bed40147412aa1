"""Function.metrics: figures, steps, calls, arguments and errors."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.local.processes import listen, url_of
from gateway.local.prometheus.samples import SampleStore
from tests.observability import label, serving
from tests.schema.observability.stage import Stage, open_stage, open_upstreams

NOW = datetime(2025, 12, 7, 3, 0, tzinfo=UTC)
SERIES = "unit current average peak points { timestamp value }"
pytestmark = pytest.mark.asyncio(loop_scope="module")


def filled_store() -> SampleStore:
    """Two minutes of fn-00000001 … fn-00000050, one pod each, whose memory grows by a byte a second."""
    store = SampleStore()
    for age_s in range(120, -1, -2):
        samples = []
        for number in range(1, 51):
            place = {"namespace": "default", "pod": f"pod-{number}"}
            held = label("container_memory_working_set_bytes", container="app", **place)
            used = label("container_cpu_usage_seconds_total", container="app", **place)
            samples += [
                (label("kube_pod_labels", label_function_id=f"fn-{number:08}", **place), 1.0),
                (held, 1000.0 - age_s),
                (used, 0.5 * (1000 - age_s)),
            ]
        store.add_scrape(round((NOW - timedelta(seconds=age_s)).timestamp() * 1000), samples)
    return store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The schema over `filled_store`, at the time NOW."""
    async with open_stage(tmp_path_factory.mktemp("metrics"), filled_store(), lambda: NOW) as stage:
        yield stage


async def test_series_has_its_figures(stage: Stage) -> None:
    """Current, mean and largest value, and the points at multiples of the step, oldest first."""
    answer = await stage.ask(
        f"metrics(window: 60, step: 30) {{ status windowSeconds stepSeconds memory {{ {SERIES} }} }}",
        "fn-00000001",
    )
    assert answer.errors == []
    assert answer.functions[0]["metrics"] == {
        "status": "SUCCESS",
        "windowSeconds": 60,
        "stepSeconds": 30,
        "memory": {
            "unit": "bytes",
            "current": 1000,
            "average": 970,
            "peak": 1000,
            "points": [
                {"timestamp": "2025-12-07T11:59:00+09:00", "value": 940},
                {"timestamp": "2025-12-07T11:59:30+09:00", "value": 970},
                {"timestamp": "2025-12-07T12:00:00+09:00", "value": 1000},
            ],
        },
    }


async def test_50_functions_are_two_calls_for_each_metric(stage: Stage) -> None:
    """A dashboard costs the same as one function; what is not selected is not read."""
    ids = [f"fn-{number:08}" for number in range(1, 51)]
    answer = await stage.ask("metrics { cpu { current } }", *ids)
    assert (answer.errors, answer.calls) == ([], {"prometheus": 2})
    assert [function["metrics"]["cpu"]["current"] for function in answer.functions] == pytest.approx([0.5] * 50)
    answer = await stage.ask("metrics { cpu { current } memory { peak } replicas { average } }", *ids)
    assert (answer.errors, answer.calls) == ([], {"prometheus": 6})
    assert [function["metrics"]["replicas"]["average"] for function in answer.functions] == [1] * 50


@pytest.mark.parametrize(
    ("selection", "calls"),
    [
        ("metrics { c: cpu { unit } d: cpu { peak } }", 2),
        ("metrics { ...F ... on FunctionMetrics { memory { unit } } }", 4),
        ("metrics { cpu { unit } memory @skip(if: true) { unit } replicas @include(if: false) { unit } }", 2),
        ("metrics { windowSeconds stepSeconds }", 0),
        ("metrics { status }", 6),
        ("a: metrics { cpu { unit } } b: metrics { cpu { peak } } c: metrics(window: 60) { cpu { unit } }", 4),
    ],
)
async def test_only_what_is_selected_is_read(stage: Stage, selection: str, calls: int) -> None:
    """Through aliases, fragments and directives; the status alone is worth reading all for."""
    fragment = "fragment F on FunctionMetrics { cpu { unit } }" if "...F" in selection else ""
    answer = await stage.ask(selection, "fn-00000001", document=fragment)
    assert answer.errors == []
    assert answer.calls == ({"prometheus": calls} if calls else {})


async def test_function_without_pods_has_an_empty_series(stage: Stage) -> None:
    """Nothing was measured: no error, no figures."""
    answer = await stage.ask(f"metrics {{ status cpu {{ {SERIES} }} }}", "fn-99999999")
    assert answer.errors == []
    empty: dict[str, object] = {"unit": "cores", "current": None, "average": None, "peak": None, "points": []}
    assert answer.functions == [{"metrics": {"status": "SUCCESS", "cpu": empty}}]


@pytest.mark.parametrize(
    ("window", "step"),
    [
        (60, 1),
        (300, 2),
        (3600, 15),
        (3601, 30),
        (6 * 3600, 120),
        (24 * 3600, 600),
        (7 * 86400, 3600),
        (30 * 86400, 14400),
    ],
)
async def test_default_step_gives_a_chart_of_points(stage: Stage, window: int, step: int) -> None:
    """60 to 240 points, at times people read."""
    answer = await stage.ask(f"metrics(window: {window}) {{ stepSeconds }}", "fn-00000001")
    assert answer.functions == [{"metrics": {"stepSeconds": step}}]
    assert 60 <= window / step <= 240


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        ("window: 59", "window", "window must be 60 to 2592000 seconds; it is 59."),
        ("window: 2592001", "window", "window must be 60 to 2592000 seconds; it is 2592001."),
        ("step: 0", "step", "step must be 1 to 3600 seconds, the window; it is 0."),
        ("window: 60, step: 61", "step", "step must be 1 to 60 seconds, the window; it is 61."),
        ("window: 11001, step: 1", "step", "step must be at least 2 seconds for this window"),
    ],
)
async def test_wrong_argument_is_refused_before_prometheus_is_asked(
    stage: Stage, arguments: str, field: str, message: str
) -> None:
    """Each is a VALIDATION_ERROR that names the argument and what would do."""
    answer = await stage.ask(f"metrics({arguments}) {{ cpu {{ unit }} }}", "fn-00000001")
    assert (answer.functions, answer.calls) == ([{"metrics": None}], {})
    (error,) = answer.errors
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", field)
    assert error["message"].startswith(message)


async def test_largest_number_of_points_is_answered(stage: Stage) -> None:
    """11,000 steps are what Prometheus gives, and no less."""
    answer = await stage.ask("metrics(window: 11000, step: 1) { memory { points { value } } }", "fn-00000001")
    assert answer.errors == []
    assert len(answer.functions[0]["metrics"]["memory"]["points"]) == 121


async def test_failure_of_one_metric_is_partial() -> None:
    """The metric is null with an error of its own; the others are there."""

    async def answer_some(request: Request) -> Response:
        if "cpu" in str((await request.form())["query"]) and request.url.path.endswith("_range"):
            return JSONResponse({"status": "error", "errorType": "execution", "error": "no"}, 422)
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": []}})

    app = Starlette(routes=[Route("/{path:path}", answer_some, methods=["POST"])])
    async with serving(app) as url, open_upstreams(url, url) as stage:
        answer = await stage.ask("metrics { status cpu { unit } memory { unit } }", "fn-00000001")
        alone = await stage.ask("metrics { status cpu { unit } }", "fn-00000001")
    assert answer.functions == [{"metrics": {"status": "PARTIAL", "cpu": None, "memory": {"unit": "bytes"}}}]
    (error,) = answer.errors
    assert error["path"] == ["functions", 0, "metrics", "cpu"]
    assert error["extensions"]["code"] == "PROMETHEUS_ERROR"
    assert error["message"] == "Prometheus refused cpu over 3600 s with status 422: execution: no"
    assert alone.functions == [{"metrics": None}]


async def test_prometheus_that_is_away_is_one_error_of_the_field() -> None:
    """When nothing can be read, metrics itself is null, with one error for each function."""
    with listen() as listener:
        away = url_of(listener)
    async with open_upstreams(away, away) as stage:
        answer = await stage.ask("id metrics { cpu { unit } memory { unit } }", "fn-00000001")
    assert answer.functions == [{"id": "fn-00000001", "metrics": None}]
    (error,) = answer.errors
    assert error["path"] == ["functions", 0, "metrics"]
    assert (error["extensions"]["code"], error["extensions"]["retryable"]) == ("PROMETHEUS_CONNECTION_ERROR", True)
