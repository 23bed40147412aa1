"""The Loki client against the stand-in over a socket: exact pages, escaping, ranges and errors."""

import itertools
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.errors import InvalidInputError, LokiConnectionError, LokiError
from gateway.local.loki import create_app
from gateway.local.loki.store import LineStore, NewLine
from gateway.local.processes import listen, url_of
from gateway.records.logs import LogDirection, LogQuery
from gateway.telemetry import UpstreamCall, recording_calls
from gateway.upstream.loki import Loki
from gateway.upstream.query_client import open_query_client
from tests.observability import push_lines, serving, verbose_app

QUERY = UpstreamCall("loki", "GET /loki/api/v1/query_range")
NEWEST, OLDEST = LogDirection.NEWEST_FIRST, LogDirection.OLDEST_FIRST
MINUTE_NS = 60 * 10**9

function_ids = (f"fn-{number:08d}" for number in itertools.count())


pytestmark = pytest.mark.asyncio(loop_scope="module")


class Stage(NamedTuple):
    """A running stand-in, and the client under test."""

    url: str
    loki: Loki


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A Loki and a client of it; tests share them, and make up their own functions."""
    async with (
        serving(create_app(tmp_path_factory.mktemp("loki"))) as url,
        open_query_client("loki", url) as client,
    ):
        yield Stage(url, Loki(client))


async def read_all(loki: Loki, query: LogQuery) -> list[list[tuple[int, str]]]:
    """All pages of a query."""
    pages = []
    after: str | None = None
    while True:
        page = await loki.query_lines(
            LogQuery(
                function_id=query.function_id,
                first=query.first,
                after=after,
                since=query.since,
                until=query.until,
                direction=query.direction,
            )
        )
        pages.append([(entry.timestamp_ns, entry.line) for entry in page.items])
        assert page.has_previous == (after is not None)
        if not page.has_next:
            return pages
        after = page.positions[-1]


async def test_lines_of_all_streams_come_in_one_order(stage: Stage) -> None:
    """Streams are merged by time; within one nanosecond by labels, then in the order they were written."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(
        stage.url, {"function_id": function_id, "pod": "b"}, [(now, "b1"), (now, "b2"), (now + 5, "b3")]
    )
    await push_lines(stage.url, {"function_id": function_id, "pod": "a"}, [(now, "a1 error"), (now + 7, "a2")])
    oldest = await stage.loki.query_lines(LogQuery(function_id=function_id, first=10, direction=OLDEST))
    newest = await stage.loki.query_lines(LogQuery(function_id=function_id, first=10))
    assert [entry.line for entry in oldest.items] == ["a1 error", "b1", "b2", "b3", "a2"]
    assert [entry.line for entry in newest.items] == ["a2", "b3", "b2", "b1", "a1 error"]
    assert (oldest.has_next, oldest.has_previous) == (False, False)
    first = oldest.items[0]
    assert (first.timestamp_ns, first.level) == (now, "error")
    assert dict(first.labels) == {
        "function_id": function_id,
        "pod": "a",
        "service_name": "unknown_service",
        "detected_level": "error",
    }
    assert oldest.items[1].level is None


@settings(max_examples=30, deadline=None)
@given(
    streams=st.lists(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xyz")), max_size=40), max_size=4),
    first=st.sampled_from([3, 10, 50]),
    direction=st.sampled_from(LogDirection),
)
async def test_pages_hold_every_line_once_and_in_order(
    stage: Stage, streams: list[list[tuple[int, str]]], first: int, direction: LogDirection
) -> None:
    """Whatever shares a nanosecond, whatever the page's size: the pages are one list, cut."""
    start = time.time_ns()
    function_id = next(function_ids)
    expected = []
    pushes: list[tuple[dict[str, str], list[tuple[int, str]]]] = []
    for number, lines in enumerate(streams):
        labels = {"function_id": function_id, "pod": str(number)}
        numbered = [
            (start + offset, f"{word} {number} {place // 2}") for place, (offset, word) in enumerate(lines)
        ]
        pushes += [(labels, numbered[at : at + 8]) for at in range(0, len(numbered), 8)]
        expected += sorted(numbered, key=lambda line: line[0])
    # What comes in mixed up is cut mixed up by Loki's limit. Stable, as a stream has the order it is pushed in.
    for labels, lines in sorted(pushes, key=lambda push: (len(push[1]), push[0]["pod"]), reverse=True):
        await push_lines(stage.url, labels, lines)
    expected.sort(key=lambda line: line[0])
    if direction is NEWEST:
        expected.reverse()
    pages = await read_all(stage.loki, LogQuery(function_id=function_id, first=first, direction=direction))
    assert [line for page in pages for line in page] == expected
    assert all(len(page) == first for page in pages[:-1])


@pytest.mark.parametrize("direction", LogDirection)
async def test_hundreds_of_lines_in_one_nanosecond_are_paged_exactly(
    stage: Stage, direction: LogDirection
) -> None:
    """A nanosecond that is larger than several pages is neither repeated nor lost."""
    now = time.time_ns()
    function_id = next(function_ids)
    for start in range(0, 150, 30):  # mixed up, so that Loki's limit cuts through all streams
        for pod in (2, 0, 3, 1):
            lines = [(now, f"{pod}-{number:03}") for number in range(start, start + 30)]
            first = [(now - 1, "before")] if start == 0 else []
            await push_lines(stage.url, {"function_id": function_id, "pod": str(pod)}, first + lines)
    pages = await read_all(stage.loki, LogQuery(function_id=function_id, first=100, direction=direction))
    expected = ["before"] * 4 + [f"{pod}-{number:03}" for pod in range(4) for number in range(150)]
    assert [line for page in pages for _, line in page] == (expected[::-1] if direction is NEWEST else expected)
    assert [len(page) for page in pages] == [100] * 6 + [4]


async def test_page_of_100_costs_one_call(stage: Stage) -> None:
    """The page, and whether there is a next one, come with one request; so does the page after it."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(
        stage.url, {"function_id": function_id}, [(now + number, str(number)) for number in range(250)]
    )
    with recording_calls() as calls:
        page = await stage.loki.query_lines(LogQuery(function_id=function_id, first=100))
    assert calls == [QUERY]
    assert ([entry.line for entry in page.items][::99], page.has_next) == (["249", "150"], True)
    with recording_calls() as calls:
        page = await stage.loki.query_lines(LogQuery(function_id=function_id, first=100, after=page.positions[-1]))
    assert calls == [QUERY]
    assert [entry.line for entry in page.items][::99] == ["149", "50"]


async def test_late_line_of_the_same_nanosecond_repeats_nothing(stage: Stage) -> None:
    """A line that comes in before the cursor's, at its very time, moves the rest on and not back."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(stage.url, {"function_id": function_id, "pod": "b"}, [(now, str(n)) for n in range(4)])
    query = LogQuery(function_id=function_id, first=2, direction=OLDEST)
    page = await stage.loki.query_lines(query)
    assert [entry.line for entry in page.items] == ["0", "1"]
    await push_lines(stage.url, {"function_id": function_id, "pod": "a"}, [(now, "late")])
    page = await stage.loki.query_lines(
        LogQuery(function_id=function_id, first=2, direction=OLDEST, after=page.positions[-1])
    )
    assert [entry.line for entry in page.items] == ["2", "3"]


async def test_position_of_a_deleted_line_goes_on_at_its_place(stage: Stage) -> None:
    """Where the cursor's line is gone, its time and place are what is left to go by."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(stage.url, {"function_id": function_id}, [(now, "0"), (now, "1"), (now + 1, "2")])
    page = await stage.loki.query_lines(
        LogQuery(function_id=function_id, first=5, direction=OLDEST, after=f"{now}-1-00000000")
    )
    assert [entry.line for entry in page.items] == ["1", "2"]


async def test_since_is_inclusive_and_until_exclusive(stage: Stage) -> None:
    """A line at `since` is in the page, one at `until` is not."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    start_ns = int(start.timestamp()) * 10**9
    function_id = next(function_ids)
    lines = [(start_ns - 1, "before"), (start_ns, "since"), (start_ns + 999, "in"), (start_ns + 1000, "until")]
    await push_lines(stage.url, {"function_id": function_id}, lines)
    page = await stage.loki.query_lines(
        LogQuery(
            function_id=function_id,
            first=10,
            since=start,
            until=start + timedelta(microseconds=1),
            direction=OLDEST,
        )
    )
    assert [entry.line for entry in page.items] == ["since", "in"]


@pytest.mark.parametrize(
    "text", ['say "hi"', r"back\slash", "a\nb", "tab\tbell\a", "한국어 🚀", '"} |= "', "`raw`", "\x00nul", "$|.*"]
)
async def test_contains_finds_exactly_the_text(stage: Stage, text: str) -> None:
    """What is special in Go strings, LogQL or expressions is ordinary text here."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(stage.url, {"function_id": function_id}, [(now, f"<{text}>"), (now + 1, "other line")])
    page = await stage.loki.query_lines(LogQuery(function_id=function_id, first=10, contains=text))
    assert [entry.line for entry in page.items] == [f"<{text}>"]


async def test_function_id_with_a_quote_reads_nobody_elses_lines(stage: Stage) -> None:
    """An id can't end its matcher."""
    await push_lines(stage.url, {"function_id": "fn-secret00"}, [(time.time_ns(), "secret")])
    page = await stage.loki.query_lines(LogQuery(function_id='x"} or {function_id=~".+', first=10))
    assert page.items == ()


@pytest.mark.parametrize("direction", LogDirection)
async def test_long_range_is_read_in_parts(tmp_path: Path, direction: LogDirection) -> None:
    """Loki refuses more than 30 days at once: 100 days are four calls, and fewer once the page is full."""
    now = datetime.now(UTC)
    function_id = next(function_ids)
    ages = {age: int((now - timedelta(days=age)).timestamp()) * 10**9 for age in (1, 45, 95)}
    app = create_app(tmp_path, now_ns=lambda: ages[95])  # what is older than a week by its clock is deleted
    with LineStore(tmp_path / "loki.sqlite") as store:
        lines = [NewLine(timestamp, "unknown", f"{age} days") for age, timestamp in ages.items()]
        store.append([({"function_id": function_id}, lines)])
    async with serving(app) as url, open_query_client("loki", url) as client:
        loki = Loki(client)
        since = now - timedelta(days=100)
        with recording_calls() as calls:
            page = await loki.query_lines(
                LogQuery(function_id=function_id, first=10, since=since, direction=direction)
            )
        expected = ["1 days", "45 days", "95 days"][:: 1 if direction is NEWEST else -1]
        assert [entry.line for entry in page.items] == expected
        assert calls == [QUERY] * 4
        with recording_calls() as calls:
            page = await loki.query_lines(
                LogQuery(function_id=function_id, first=1, since=since, direction=direction)
            )
        assert ([entry.line for entry in page.items], page.has_next, calls) == (expected[:1], True, [QUERY] * 2)
        month = await loki.query_lines(LogQuery(function_id=function_id, first=10, direction=direction))
        assert [entry.line for entry in month.items] == ["1 days"]


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "1-2",
        "1-2-3",
        f"{2**63}-0-00000000",
        "1-0-0000000g",
        "-1-0-00000000",
        "1-0-00000000 ",
        "1-9999999-00000000",
    ],
)
async def test_wrong_position_is_invalid_input(stage: Stage, after: str) -> None:
    """What this client did not make is refused before Loki is asked."""
    with recording_calls() as calls, pytest.raises(InvalidInputError) as raised:
        await stage.loki.query_lines(LogQuery(function_id="fn-00000000", first=10, after=after))
    assert (raised.value.field, calls) == ("after", [])


async def test_times_beyond_loki_are_bounded(stage: Stage) -> None:
    """A time no line can have is no error; a span of more than a year is."""
    now = time.time_ns()
    function_id = next(function_ids)
    await push_lines(stage.url, {"function_id": function_id}, [(now, "line")])
    far = datetime.max.replace(tzinfo=UTC)
    page = await stage.loki.query_lines(LogQuery(function_id=function_id, first=1, until=far))
    assert [entry.line for entry in page.items] == ["line"]
    with recording_calls() as calls:
        for query in (
            LogQuery(function_id=function_id, first=1, until=datetime.min.replace(tzinfo=UTC)),
            LogQuery(function_id=function_id, first=1, since=far),
        ):
            page = await stage.loki.query_lines(query)
            assert (page.items, page.has_next) == ((), False)
    assert calls == []
    with pytest.raises(InvalidInputError) as raised:
        await stage.loki.query_lines(
            LogQuery(function_id=function_id, first=1, since=datetime.min.replace(tzinfo=UTC))
        )
    assert raised.value.field == "since"


@pytest.mark.parametrize(
    ("status", "body", "message", "retryable"),
    [
        (
            400,
            "parse error at line 1\n",
            "Loki refused the lines of fn-1 with status 400: parse error at line 1",
            False,
        ),
        (429, "too many outstanding requests", "with status 429: too many outstanding requests", True),
        (503, "", "with status 503: Service Unavailable", True),
        (302, "", "with status 302: Found", False),
        (200, "<html>", "Loki's answer for the lines of fn-1 is not JSON.", False),
        (200, '{"data": {}}', "Loki's answer for the lines of fn-1 has no streams.", False),
        (200, '{"data": {"result": [{"stream": {}, "values": [[1]]}]}}', "has no streams.", False),
        (200, "[]", "has no streams.", False),
    ],
)
async def test_refusal_of_loki_is_told_in_its_words(status: int, body: str, message: str, retryable: bool) -> None:
    """Loki's text/plain errors, and answers that are none, become a LokiError with what is known."""

    async def answer(_request: Request) -> Response:
        return PlainTextResponse(body, status_code=status)

    app = Starlette(routes=[Route("/{path:path}", answer)])
    async with serving(app) as url, open_query_client("loki", url) as client:
        with pytest.raises(LokiError) as raised:
            await Loki(client).query_lines(LogQuery(function_id="fn-1", first=10))
    assert message in raised.value.message
    assert (type(raised.value), raised.value.retryable) == (LokiError, retryable)


async def test_answer_that_is_too_large_is_an_error() -> None:
    """No more than 64 MB are read: the same page again would be as large, so that it is not retryable."""
    async with serving(verbose_app(65)) as url, open_query_client("loki", url) as client:
        with pytest.raises(LokiError) as raised:
            await Loki(client).query_lines(LogQuery(function_id="fn-1", first=1000))
    message = "Loki's answer for the lines of fn-1 has more than 64 MB; ask for fewer lines."
    assert (type(raised.value), raised.value.message) == (LokiError, message)
    assert not raised.value.retryable


async def test_loki_that_is_away_is_a_connection_error() -> None:
    """Nothing listens: the error says so, and that another try may help."""
    with listen() as listener:
        url = url_of(listener)
    async with open_query_client("loki", url) as client:
        with pytest.raises(LokiConnectionError, match="did not answer for the lines of fn-1") as raised:
            await Loki(client).query_lines(LogQuery(function_id="fn-1", first=10))
        assert raised.value.retryable
        with pytest.raises(LokiConnectionError):
            await Loki(client).check()


async def test_check_passes_when_loki_answers(stage: Stage) -> None:
    """A health check is one cheap call."""
    with recording_calls() as calls:
        await stage.loki.check()
    assert calls == [UpstreamCall("loki", "GET /loki/api/v1/labels")]
