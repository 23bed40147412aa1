"""The gateway's queries, answered by the stand-in and by a real Prometheus: they have to agree.

A program `prometheus` has to be on PATH (Debian and Ubuntu: apt-get install prometheus); without one this fails.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.local.processes import listen, spawn, url_of
from gateway.local.prometheus import create_app
from gateway.local.prometheus.samples import SampleStore
from gateway.records.metrics import MetricKind, MetricQuery, MetricSeriesRecord
from gateway.upstream.prometheus import Prometheus
from gateway.upstream.prometheus.promql import write_promql
from gateway.upstream.query_client import open_query_client
from tests.observability import serving, wait_until

pytestmark = [pytest.mark.ci, pytest.mark.asyncio(loop_scope="module")]

INTERVAL_S = 0.5
LIFETIME_S = 12.0
"""How long the target is scraped; fn-two's pod goes after two thirds of it, a counter is reset after half."""
TOLERANCES = {MetricKind.CPU: 0.6, MetricKind.MEMORY: 0.1, MetricKind.REPLICAS: 0}
"""Of what is scraped apart: a rate over one minute depends on when the first of few samples was taken."""
IDS = ("fn-one", "fn-two", "fn-gone")
DOCUMENTED = (
    'sum(rate(container_cpu_usage_seconds_total{container!=""}[1m]) * on(namespace,pod) '
    'group_left(label_function_id) kube_pod_labels{label_function_id="ID"})'
)


class Pair(NamedTuple):
    """Both, after they have scraped the same target, and the samples the real one has of it."""

    real: str
    stand_in: str
    same_samples: str
    end_s: float


def expose(age_s: float) -> str:
    """The target's exposition: fn-one with two pods, fn-two with one that goes, labels of fn-one's given twice."""
    lines = []
    pods = [("fn-one", "a", 0.3), ("fn-one", "b", 0.2)]
    if age_s < LIFETIME_S * 2 / 3:
        pods.append(("fn-two", "c", 1.5))
    for function_id, pod, cores in pods:
        place = f'namespace="default",pod="{pod}"'
        copies = ("one", "two") if function_id == "fn-one" else ("one",)
        lines += [
            f'kube_pod_labels{{{place},label_faas="true",label_function_id="{function_id}",copy="{copy}"}} 1'
            for copy in copies
        ]
        counted_s = age_s if pod != "a" or age_s < LIFETIME_S / 2 else age_s - LIFETIME_S / 2
        for container in ("app", ""):
            lines.append(
                f'container_cpu_usage_seconds_total{{{place},container="{container}"}} {cores * counted_s}'
            )
            held = 1e6 + 1e5 * age_s
            lines.append(f'container_memory_working_set_bytes{{{place},container="{container}"}} {held}')
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def running_prometheus(folder: Path, target: str) -> AsyncIterator[str]:
    """A real Prometheus that scrapes `target`; its URL."""
    program = shutil.which("prometheus")
    assert program is not None, "this test compares with a real Prometheus: install one (package `prometheus`)"
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: {int(INTERVAL_S * 1000)}ms, scrape_timeout: {int(INTERVAL_S * 1000)}ms}}\n"
        "scrape_configs:\n- job_name: runner\n"
        f"  static_configs: [{{targets: ['{httpx.URL(target).netloc.decode()}']}}]\n"
    )
    with listen() as listener:
        url = url_of(listener)
    command = (
        program,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    )
    async with await spawn(*command), httpx.AsyncClient() as client:

        async def is_ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"{url}/-/ready")).status_code == 200
            return False

        await wait_until(is_ready, within_s=30)
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Let both scrape the target for a while; then give a second stand-in the real one's very samples."""
    started: float | None = None

    async def answer(_request: Request) -> Response:
        return PlainTextResponse(expose(time.time() - started) if started is not None else "")

    folder = tmp_path_factory.mktemp("real")
    async with serving(Starlette(routes=[Route("/metrics", answer)])) as target:
        stand_in = create_app(folder / "one", f"{target}/metrics", interval_s=INTERVAL_S)
        async with running_prometheus(folder, target) as real, serving(stand_in) as own:
            for url in (real, own):  # the real one takes up to 5 s to find its target
                await wait_until(partial(is_scraping, url), within_s=30)
            started = time.time()
            await asyncio.sleep(LIFETIME_S)  # the behaviour over time is what is compared
            end_s = round(time.time(), 3)
            store = await copy_samples(real, end_s)
            async with serving(create_app(folder / "two", None, store=store)) as same:
                yield Pair(real, own, same, end_s)


async def is_scraping(url: str) -> bool:
    """Whether a first scrape went well."""
    answer = await ask(url, "query", "up")
    return [series["value"][1] for series in answer["data"]["result"]] == ["1"]


async def copy_samples(real: str, end_s: float) -> SampleStore:
    """A store with the samples of the real one; where its series end is marked, as scraping does."""
    async with httpx.AsyncClient(base_url=real) as client:
        answer = await client.get(
            "/api/v1/query", params={"query": '{__name__=~"kube_.*|container_.*"}[1m]', "time": end_s}
        )
    scrapes: dict[int, list[Any]] = {}
    for series in answer.json()["data"]["result"]:
        labels = tuple(sorted(series["metric"].items()))
        for time_s, text in series["values"]:
            scrapes.setdefault(round(time_s * 1000), []).append((labels, float(text)))
    store = SampleStore()
    for time_ms, samples in sorted(scrapes.items()):
        store.add_scrape(time_ms, samples)
    return store


async def ask(url: str, call: str, query: str, **parameters: float) -> dict[str, Any]:
    """The whole answer, series sorted."""
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(f"/api/v1/{call}", data={"query": query, **parameters})
    body: dict[str, Any] = answer.json()
    if body["status"] == "success":
        body["data"]["result"].sort(key=lambda series: sorted(series["metric"].items()))
    return {"code": answer.status_code, **body}


def values_of(series: dict[str, Any]) -> list[float]:
    """The numbers of a series, times and values one after the other."""
    return [float(number) for sample in series.get("values", [series.get("value")]) for number in sample]


@pytest.mark.parametrize(
    "query", [*(write_promql(kind, IDS) for kind in MetricKind), DOCUMENTED.replace("ID", "fn-two"), "vector(1)"]
)
async def test_same_samples_give_the_same_values(pair: Pair, query: str) -> None:
    """Over the very samples of the real one: the same series, times and values, at every moment of the run."""
    at = {"start": pair.end_s - LIFETIME_S - 2, "end": pair.end_s, "step": 0.7}
    found = 0
    for call, parameters in (("query", {"time": pair.end_s}), ("query_range", at)):
        real, own = [await ask(url, call, query, **parameters) for url in (pair.real, pair.same_samples)]
        assert real["status"] == "success", real
        assert [series["metric"] for series in own["data"]["result"]] == [
            series["metric"] for series in real["data"]["result"]
        ]
        assert own["data"]["resultType"] == real["data"]["resultType"]
        for own_series, real_series in zip(own["data"]["result"], real["data"]["result"], strict=True):
            assert values_of(own_series) == pytest.approx(values_of(real_series), rel=1e-9)
        found = len(real["data"]["result"])
    assert found >= 1  # over the range, that is


async def test_scraping_apart_gives_nearly_the_same(pair: Pair) -> None:
    """Each with its own scrapes: the client reads the same functions and close values from both."""
    queries = [
        MetricQuery(function_id=function_id, kind=kind, window_s=60, step_s=1)
        for function_id in IDS
        for kind in MetricKind
    ]
    found = []
    for url in (pair.real, pair.stand_in):
        async with open_query_client("prometheus", url) as client:
            prometheus = Prometheus(client)
            await prometheus.check()
            found.append(await prometheus.query_series(queries))
    for query in queries:
        real, own = found[0][query], found[1][query]
        assert isinstance(real, MetricSeriesRecord)
        assert isinstance(own, MetricSeriesRecord)
        assert (own.current is None) == (real.current is None)
        if real.current is not None:
            assert own.current == pytest.approx(real.current, rel=TOLERANCES[query.kind])
        real_points = {point.timestamp: point.value for point in real.points}
        own_points = {point.timestamp: point.value for point in own.points}
        both = sorted(real_points.keys() & own_points.keys())
        # A pod comes and goes up to one scrape earlier in one of them.
        assert len(both) >= max(len(real_points), len(own_points)) - 4
        settled = both[3:-3]
        assert [own_points[at] for at in settled] == pytest.approx(
            [real_points[at] for at in settled], rel=TOLERANCES[query.kind]
        )


@pytest.mark.parametrize(
    ("call", "query", "parameters"),
    [
        ("query", DOCUMENTED.replace("ID", "fn-one"), {}),
        ("query_range", "up", {"start": 0, "end": 11_001, "step": 1}),
        ("query_range", "up", {"start": 5, "end": 4, "step": 1}),
        ("query_range", "up", {"start": 5, "end": 6, "step": 0}),
        ("query", "sum(", {}),
        ("query", "", {}),
    ],
)
async def test_errors_are_of_the_same_kind(
    pair: Pair, call: str, query: str, parameters: dict[str, float]
) -> None:
    """The same status and errorType, and the same first words where they are no parser's."""
    real, own = [await ask(url, call, query, **parameters) for url in (pair.real, pair.stand_in)]
    assert {name: own[name] for name in ("code", "status", "errorType")} == {
        name: real[name] for name in ("code", "status", "errorType")
    }
    assert own["error"][:25] == real["error"][:25]
