"""The Prometheus stand-in by itself: scraping, ends of series, errors, restarts."""

import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.local.processes import listen, spawn, url_of
from gateway.local.prometheus import create_app
from gateway.local.prometheus.exposition import ExpositionError, parse_exposition
from gateway.local.prometheus.samples import RETENTION_MS, SampleStore
from tests.observability import label, serving, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PODS = 'count by (label_function_id) (kube_pod_labels{label_function_id=~"fn-1"})'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a stand-in with one counter, 2 a second from time 1000 to 1600, reset at 1300."""
    store = SampleStore()
    for time_s in range(1000, 1601, 2):
        value = 2.0 * (time_s - 1000 if time_s < 1300 else time_s - 1300)
        store.add_scrape(time_s * 1000, [(label("container_cpu_usage_seconds_total", pod="a"), value)])
    app = create_app(tmp_path_factory.mktemp("prometheus"), None, store=store)
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def instant(client: httpx.AsyncClient, query: str, time_s: float | None = None) -> list[dict[str, Any]]:
    """The result of an instant query."""
    parameters: dict[str, str | float] = {"query": query} if time_s is None else {"query": query, "time": time_s}
    answer = await client.get("/api/v1/query", params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["resultType"] == "vector"
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


@pytest.mark.parametrize(
    ("time_s", "expected"),
    [
        (1200, [2.0]),
        (1310, [2 * 29 / 30]),  # a counter that falls has begun again: one of 30 steps is not seen
        (1000, []),  # one sample has no rate
        (1010, [2 * 10 / 60]),  # not below zero before the first sample
        (1700, []),
    ],
)
async def test_rate_is_extrapolated(prometheus: httpx.AsyncClient, time_s: float, expected: list[float]) -> None:
    """The increase of the samples runs on to the ends of the range where they are near."""
    result = await instant(prometheus, "rate(container_cpu_usage_seconds_total[1m])", time_s)
    assert [float(series["value"][1]) for series in result] == pytest.approx(expected)
    assert [series["metric"] for series in result] == [{"pod": "a"}] * len(expected)


async def test_series_counts_for_five_minutes_after_its_last_sample(prometheus: httpx.AsyncClient) -> None:
    """Prometheus' lookback, where nothing says that the series has ended."""
    query = "container_cpu_usage_seconds_total"
    assert [series["value"] for series in await instant(prometheus, query, 1900)] == [[1900.0, "600"]]
    assert await instant(prometheus, query, 1900.001) == []
    assert await instant(prometheus, "vector(1)", 5) == [{"metric": {}, "value": [5.0, "1"]}]


async def test_range_query_answers_get_and_post(prometheus: httpx.AsyncClient) -> None:
    """The same values at start, start + step … up to end, which is included; times may be RFC 3339."""
    query = "sum (container_cpu_usage_seconds_total)"
    wanted = {"query": query, "start": "1000", "end": "1970-01-01T00:17:20Z", "step": "20s"}
    answers = [
        await prometheus.get("/api/v1/query_range", params=wanted),
        await prometheus.post("/api/v1/query_range", data={**wanted, "end": "1040", "step": "20"}),
    ]
    values = [[1000.0, "0"], [1020.0, "40"], [1040.0, "80"]]
    for answer in answers:
        assert answer.json() == {
            "status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]},
        }


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("query", {"query": ""}, 'invalid parameter "query": 1:1: parse error: unexpected end of input'),
        ("query", {"query": "sum(up"}, "1:7: parse error: unexpected end of input, expecting )"),
        ("query", {"query": "up + up"}, "as the local stand-in answers the gateway's own queries only"),
        ("query", {"query": "irate(up[1m])"}, "a query of the gateway, which has no irate()"),
        ("query", {"query": 'up{a=~"("}'}, "error parsing regexp"),
        ("query", {"query": "up", "time": "now"}, 'invalid parameter "time": cannot parse "now"'),
        ("query_range", {"start": ""}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ("query_range", {"end": "9"}, 'invalid parameter "end": end timestamp must not be before start time'),
        ("query_range", {"step": "0"}, 'invalid parameter "step": zero or negative query resolution step widths'),
        ("query_range", {"step": "x"}, 'invalid parameter "step": cannot parse "x" to a valid duration'),
        ("query_range", {"end": "11011"}, "exceeded maximum resolution of 11,000 points per timeseries."),
    ],
)
async def test_wrong_query_is_bad_data(
    prometheus: httpx.AsyncClient, path: str, parameters: dict[str, str], message: str
) -> None:
    """Prometheus' JSON errors, with its words; other queries than the gateway's are named as such."""
    wanted = {"query": "up", "start": "10", "end": "20", "step": "1"} if path == "query_range" else {}
    answer = await prometheus.get(f"/api/v1/{path}", params={**wanted, **parameters})
    body = answer.json()
    assert (answer.status_code, body["status"], body["errorType"]) == (400, "error", "bad_data")
    assert message in body["error"]


async def test_range_of_11000_steps_is_answered(prometheus: httpx.AsyncClient) -> None:
    """The limit itself is allowed."""
    wanted = {"query": "up", "start": "10", "end": "11010", "step": "1"}
    assert (await prometheus.get("/api/v1/query_range", params=wanted)).status_code == 200


async def test_target_is_scraped_and_ended_series_go_at_once(tmp_path: Path) -> None:
    """A pod that is missing from a scrape, or a target that is away, has no value any more."""
    text = "".join(f'kube_pod_labels{{label_function_id="fn-1",pod="{pod}"}} 1\n' for pod in "ab")
    exposed = [text]

    async def expose(_request: Request) -> Response:
        return PlainTextResponse(exposed[0], status_code=200 if exposed[0] else 500)

    target = Starlette(routes=[Route("/metrics", expose)])
    async with serving(target) as url:
        app = create_app(tmp_path, f"{url}/metrics", interval_s=0.1)
        async with serving(app) as own_url, httpx.AsyncClient(base_url=own_url) as client:
            seen = []
            for exposition, expected in ((text, "2"), (text.splitlines()[0], "1"), ("", None), (text, "2")):
                exposed[0] = exposition

                async def has_expected(expected: str | None = expected) -> bool:
                    result = await instant(client, PODS)
                    return [series["value"][1] for series in result] == ([expected] if expected else [])

                await wait_until(has_expected)
                seen.append([series["value"][1] for series in await instant(client, "up")])
            assert seen == [["1"], ["1"], ["0"], ["1"]]
            (series,) = await instant(client, 'kube_pod_labels{pod="a"}')
            assert series["metric"] == {
                "__name__": "kube_pod_labels",
                "label_function_id": "fn-1",
                "pod": "a",
                "job": "runner",
                "instance": url.removeprefix("http://"),
            }
            assert (await client.get("/-/ready")).text == "Prometheus Server is Ready.\n"


async def test_samples_survive_a_restart(tmp_path: Path) -> None:
    """The process writes what it has when it is told to stop, and finds it again; a broken file is no obstacle."""

    async def expose(_request: Request) -> Response:
        return PlainTextResponse('kube_pod_labels{label_function_id="fn-1",pod="a"} 1\n')

    found: list[tuple[float, int]] = []
    async with serving(Starlette(routes=[Route("/metrics", expose)])) as target:
        for url_of_target in (f"{target}/metrics", "http://127.0.0.1:9/", "http://127.0.0.1:9/"):
            with listen() as listener:
                url, fd = url_of(listener), str(listener.fileno())
                command = ["-m", "gateway.local.prometheus", "--fd", fd, "--data-dir", str(tmp_path)]
                async with (
                    await spawn(
                        sys.executable, *command, "--target", url_of_target, sockets=[listener]
                    ) as process,
                    httpx.AsyncClient(base_url=url, timeout=20) as client,
                ):
                    now = time.time()
                    if not found:

                        async def is_scraped(client: httpx.AsyncClient = client) -> bool:
                            return bool(await instant(client, PODS))

                        await wait_until(is_scraped)
                        now = time.time()
                    found.append((now, len(await instant(client, PODS, found[0][0] if found else now))))
                    assert await process.stop() == -signal.SIGTERM  # raised again after an orderly end
            if len(found) == 2:
                (tmp_path / "prometheus.snapshot").write_bytes(b"broken")
    assert [count for _, count in found] == [1, 1, 0]


async def test_store_is_bounded_by_age_and_number() -> None:
    """Samples over a day old go; an ended series goes with its last sample."""
    store = SampleStore()
    store.add_scrape(1000, [(label("m", pod="a"), 1.0), (label("m", pod="b"), 1.0)])
    store.add_scrape(2000, [(label("m", pod="b"), 2.0)])
    store.trim(2000 + RETENTION_MS)
    assert [len(series.times_ms) for series in store.series.values()] == [1, 1]
    store.trim(2001 + RETENTION_MS)
    assert store.series == {}


async def test_too_many_samples_cost_the_older_half() -> None:
    """Beyond the number the time that is kept is halved, until it fits."""
    store = SampleStore(max_samples=1000)
    for time_ms in range(0, 4000, 2):
        store.add_scrape(time_ms, [(label("m", pod="a"), 1.0)])
    store.trim(3998)
    (series,) = store.series.values()
    assert (series.times_ms[0], series.times_ms[-1], len(series.times_ms)) == (2000, 3998, 1000)


async def test_exposition_is_parsed() -> None:
    """Comments, escapes, times and special values of the text format."""
    text = (
        "# HELP m text\n# TYPE m gauge\n\nm 1\n"
        'm{a="x\\"y\\\\z\\n",b="{}, ",} 2.5e3 1700000000000\n m_total{ a = "é" } +Inf\n'
    )
    assert list(parse_exposition(text)) == [
        (label("m"), 1.0),
        (label("m", a='x"y\\z\n', b="{}, "), 2500.0),
        (label("m_total", a="é"), float("inf")),
    ]
    for wrong in ("m", "m{a=b} 1", "m x", "{a} 1"):
        with pytest.raises(ExpositionError):
            list(parse_exposition(wrong))
