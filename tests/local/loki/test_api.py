"""The Loki stand-in against the real one's HTTP API: what it stores, selects, refuses and sends on."""

import gzip
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.local.loki import create_app
from gateway.local.processes import listen, spawn, url_of
from tests.observability import push_lines, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAY_NS = 24 * 3600 * 10**9


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def loki(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a stand-in that holds three streams; tests push to streams of their own."""
    async with (
        serving(create_app(tmp_path_factory.mktemp("loki"))) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        now = time.time_ns()
        for number, pod in enumerate(("a", "b", "c")):
            lines = [(now + place, f"{pod}{place} path=C:\\x") for place in range(3)]
            await push_lines(url, {"test": "select", "pod": pod, "app": f"app-{number}"}, lines)
        yield client


async def select(client: httpx.AsyncClient, query: str, **parameters: Any) -> list[str]:
    """The lines that a query selects, oldest first."""
    answer = await client.get(
        "/loki/api/v1/query_range", params={"query": query, "direction": "forward", **parameters}
    )
    assert answer.status_code == 200, answer.text
    result = answer.json()["data"]["result"]
    return [line for _, line in sorted(value for stream in result for value in stream["values"])]


def around_now() -> dict[str, int]:
    """The last hour and the next minute."""
    return {"start": time.time_ns() - 3600 * 10**9, "end": time.time_ns() + 60 * 10**9}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('{test="select", pod="a"}', ["a0", "a1", "a2"]),
        ('{test="select", pod!="a", pod=~"a|b"}', ["b0", "b1", "b2"]),
        ('{test="select", pod!~"[ab]"}', ["c0", "c1", "c2"]),
        ('{test="select", pod=~"a.+"}', []),
        ('{test="select", missing="", pod="a"} |= "0"', ["a0"]),
        ('{test=~"sel.*"} != "0" != "1"', ["a2", "b2", "c2"]),
        ('{test="select"} |~ "^[ac]" !~ `[12]`', ["a0", "c0"]),
        ('{test="select", pod="a"} |= "C:\\\\x" # comment', ["a0", "a1", "a2"]),
        ('{test="select", pod="a"} |= `C:\\x` |= "\\u0061\\x30"', ["a0"]),
        ('{test="\\163elect", pod="b",} |= "b2"', ["b2"]),
    ],
)
async def test_query_selects_streams_and_lines(loki: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    """Matchers fit whole labels, expressions of filters any part of a line, strings are Go's."""
    assert [line.split()[0] for line in await select(loki, query, **around_now())] == expected


async def test_answer_has_lokis_shape(loki: httpx.AsyncClient) -> None:
    """One stream for each label set, the labels Loki 3 adds among them, each sorted in the direction."""
    now = time.time_ns()
    await push_lines(
        str(loki.base_url),
        {"test": "shape", "app": "hello"},
        [(now, "ok"), (now + 1, "an error"), (now + 2, "ok")],
    )
    answer = await loki.get(
        "/loki/api/v1/query_range", params={"query": '{test="shape"}', "end": str(now + 2), "limit": "5000"}
    )
    assert answer.headers["content-type"] == "application/json"
    labels = {"test": "shape", "app": "hello", "service_name": "hello"}
    assert answer.json() == {
        "status": "success",
        "data": {
            "resultType": "streams",
            "result": [
                {"stream": {**labels, "detected_level": "error"}, "values": [[str(now + 1), "an error"]]},
                {"stream": {**labels, "detected_level": "unknown"}, "values": [[str(now), "ok"]]},
            ],
            "stats": {},
        },
    }


async def test_limit_and_direction_choose_the_lines(loki: httpx.AsyncClient) -> None:
    """The newest lines of all streams by default, the oldest forward; start is inclusive."""
    now = time.time_ns()
    for pod in "ab":
        await push_lines(
            str(loki.base_url), {"test": "limit", "pod": pod}, [(now + n, f"{n}{pod}") for n in range(9)]
        )
    around = {"start": now, "end": now + 9, "limit": 3}
    query = '{test="limit"}'
    assert await select(loki, query, **around, direction="BACKWARD") == ["7b", "8a", "8b"]
    assert await select(loki, query, **around) == ["0a", "0b", "1a"]
    assert await select(loki, query, start=now + 8, end=now + 9) == ["8a", "8b"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"query": ""}, "parse error at line 1, col 1: syntax error: unexpected end of input, expecting {"),
        ({"query": "{}"}, "queries require at least one regexp or equality matcher"),
        ({"query": '{a=~".*"}'}, "queries require at least one regexp or equality matcher"),
        ({"query": '{a="b}'}, "parse error at line 1, col 4"),
        ({"query": '{a="\\q"}'}, "invalid escape sequence"),
        (
            {"query": '{a="b"}\n|= c'},
            "parse error at line 2, col 4: syntax error: unexpected 'c', expecting string",
        ),
        ({"query": '{a=~"("}'}, "error parsing regexp"),
        ({"query": '{a=~"(?=b)"}'}, "error parsing regexp: invalid or unsupported Perl syntax"),
        ({"query": '{a="b"} | json'}, "knows line filters only"),
        ({"limit": "5001"}, "limit > max_entries_limit_per_query (5001 > 5000)"),
        ({"limit": "0"}, "limit must be a positive value"),
        ({"limit": "x"}, 'strconv.ParseUint: parsing "x": invalid syntax'),
        ({"direction": "up"}, "invalid direction 'up'"),
        ({"start": "1700000000", "end": "1700000000"}, "end timestamp must not be before or equal to start time"),
        ({"start": "yesterday"}, "could not parse 'yesterday' as a time"),
        ({"start": "2025-12-07T12:00:00"}, "could not parse '2025-12-07T12:00:00' as a time"),
        ({"start": "1" * 30}, "value out of range"),
        (
            {"start": "2025-01-01T00:00:00Z", "end": "2025-01-31T01:00:01Z"},
            "the query time range exceeds the limit (query length: 721h0m0s, limit: 30d1h)",
        ),
    ],
)
async def test_wrong_query_is_refused_in_plain_text(
    loki: httpx.AsyncClient, parameters: dict[str, str], message: str
) -> None:
    """Loki's errors are text/plain with status 400."""
    answer = await loki.get("/loki/api/v1/query_range", params={"query": '{a="b"}', **parameters})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert message in answer.text


async def test_range_of_30_days_and_an_hour_is_answered(loki: httpx.AsyncClient) -> None:
    """The limit itself is allowed."""
    assert await select(loki, '{a="b"}', start="2025-01-01T00:00:00Z", end="2025-01-31T01:00:00+00:00") == []


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        (b"\x00", "application/x-protobuf", 415, "takes JSON only"),
        (b"{", "application/json", 400, "couldn't parse push request"),
        (b'{"streams": [{"stream": {}, "values": []}]}', "application/json", 400, "at least one label pair"),
        (
            b'{"streams": [{"stream": {"a": "b"}, "values": [["x", "y"]]}]}',
            "application/json",
            400,
            "couldn't parse",
        ),
        (
            b'{"streams": [{"stream": {"a": "b"}, "values": [["1", 2]]}]}',
            "application/json",
            400,
            "has to be a string",
        ),
    ],
)
async def test_wrong_push_is_refused(
    loki: httpx.AsyncClient, body: bytes, content_type: str, status: int, message: str
) -> None:
    """What can't be stored is refused whole, in plain text."""
    answer = await loki.post("/loki/api/v1/push", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert message in answer.text


async def test_push_refuses_lines_out_of_time_or_too_long(loki: httpx.AsyncClient) -> None:
    """A week back, ten minutes ahead, 256 KB: Loki's own limits; nothing of such a push is stored."""
    now = time.time_ns()
    for timestamp_ns, line, message in (
        (now - 8 * DAY_NS, "old", "has timestamp too old"),
        (now + 3600 * 10**9, "new", "has timestamp too new"),
        (now, "x" * 300_000, "Max entry size '262144' bytes exceeded"),
    ):
        values = [[str(now), "fine"], [str(timestamp_ns), line]]
        answer = await loki.post(
            "/loki/api/v1/push", json={"streams": [{"stream": {"test": "refused"}, "values": values}]}
        )
        assert (answer.status_code, message in answer.text) == (400, True)
    assert await select(loki, '{test="refused"}', **around_now()) == []


async def test_gzipped_push_is_read(loki: httpx.AsyncClient) -> None:
    """Senders may compress."""
    values = [[str(time.time_ns()), "packed"]]
    body = json.dumps({"streams": [{"stream": {"test": "gzip"}, "values": values}]}).encode()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await loki.post("/loki/api/v1/push", content=gzip.compress(body), headers=headers)
    assert answer.status_code == 204
    assert await select(loki, '{test="gzip"}', **around_now()) == ["packed"]


async def test_labels_are_listed(loki: httpx.AsyncClient) -> None:
    """Names and values of the streams in the range; the detected level is no label of a stream."""
    await push_lines(str(loki.base_url), {"test": "labels", "app": "listed"}, [(time.time_ns(), "line")])
    names = (await loki.get("/loki/api/v1/labels", params={"end": time.time_ns() + 1})).json()
    assert names == {"status": "success", "data": ["app", "pod", "service_name", "test"]}
    values = (await loki.get("/loki/api/v1/label/service_name/values")).json()["data"]
    assert {"listed", "app-0", "unknown_service"} <= set(values)
    early = {"start": "2025-01-01T00:00:00Z", "end": "2025-01-02T00:00:00Z"}
    assert (await loki.get("/loki/api/v1/labels", params=early)).json()["data"] == []


async def test_log_query_is_no_instant_query(loki: httpx.AsyncClient) -> None:
    """Loki answers only metric queries there; and it is ready."""
    answer = await loki.get("/loki/api/v1/query", params={"query": '{a="b"}'})
    assert (answer.status_code, "not supported as an instant query type" in answer.text) == (400, True)
    assert (await loki.get("/ready")).text == "ready\n"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("all fine", "unknown"),
        ("INFO: started", "info"),
        ("ValueError: error in app", "error"),
        ("warning: slow", "warn"),
        ("level=debug msg=x", "debug"),
        ('{"level": "WARN", "msg": "an error"}', "warn"),
        ('{"broken": ', "unknown"),
    ],
)
async def test_level_is_detected(loki: httpx.AsyncClient, line: str, level: str) -> None:
    """From a field where there is one, else from words."""
    now = time.time_ns()
    await push_lines(str(loki.base_url), {"test": "level"}, [(now, line)])
    answer = await loki.get(
        "/loki/api/v1/query_range", params={"query": '{test="level"}', "start": now, "end": now + 1}
    )
    assert answer.json()["data"]["result"][0]["stream"]["detected_level"] == level


async def test_tail_sends_lines_as_they_come(loki: httpx.AsyncClient) -> None:
    """First those since `start`, each once, then what is pushed and fits."""
    url = str(loki.base_url)
    now = time.time_ns()
    await push_lines(url, {"test": "tail"}, [(now, "keep 0"), (now + 1, "drop 0")])
    address = url.replace("http:", "ws:") + "/loki/api/v1/tail"
    query = httpx.QueryParams({"query": '{test="tail"} |= "keep"', "start": now})
    async with connect(f"{address}?{query}", proxy=None) as socket:
        frames = [json.loads(await socket.recv())]
        await push_lines(url, {"test": "tail"}, [(now + 2, "drop 1")])
        await push_lines(url, {"test": "tail"}, [(now + 3, "keep 1 error")])
        frames.append(json.loads(await socket.recv()))
    stream = {"test": "tail", "service_name": "unknown_service"}
    assert frames == [
        {
            "streams": [{"stream": dict(stream, detected_level=level), "values": [[str(now + offset), line]]}],
            "dropped_entries": None,
        }
        for level, offset, line in (("unknown", 0, "keep 0"), ("error", 3, "keep 1 error"))
    ]


async def test_wrong_tail_is_refused_at_the_handshake(loki: httpx.AsyncClient) -> None:
    """A wrong query is HTTP 400 with the reason, before there is a socket."""
    address = str(loki.base_url).replace("http:", "ws:") + "/loki/api/v1/tail"
    with pytest.raises(InvalidStatus) as raised:
        await connect(f"{address}?query=x", proxy=None)
    assert raised.value.response.status_code == 400
    assert b"parse error at line 1, col 1" in (raised.value.response.body or b"")


async def test_lines_survive_a_kill(tmp_path: Path) -> None:
    """What was pushed is there after `kill -9`."""
    for attempt in range(2):
        with listen() as listener:
            url = url_of(listener)
            command = ["-m", "gateway.local.loki", "--fd", str(listener.fileno()), "--data-dir", str(tmp_path)]
            async with (
                await spawn(sys.executable, *command, sockets=[listener]) as process,
                httpx.AsyncClient(base_url=url, timeout=20) as client,
            ):
                assert (await client.get("/ready")).status_code == 200
                if attempt == 0:
                    await push_lines(url, {"test": "kill"}, [(time.time_ns(), "kept")])
                    process.kill()
                    assert await process.wait() == -signal.SIGKILL
                else:
                    assert await select(client, '{test="kill"}', **around_now()) == ["kept"]
