"""Function.logs: pages, cursors, arguments and errors."""

import itertools
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.local.processes import listen, url_of
from gateway.local.prometheus.samples import SampleStore
from tests.observability import push_lines
from tests.schema.observability.stage import Stage, open_stage, open_upstreams

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = (
    "edges { cursor node { line } } nodes { line } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
)
function_ids = (f"fn-{number:08d}" for number in itertools.count())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The schema and its stand-ins; tests make up their own functions."""
    async with open_stage(tmp_path_factory.mktemp("logs"), SampleStore()) as stage:
        yield stage


async def test_line_has_the_fields_of_the_contract(stage: Stage) -> None:
    """Times in +09:00 to the microsecond and in nanoseconds, the level, the labels by name."""
    function_id = next(function_ids)
    now = time.time_ns() // 10**9 * 10**9 + 123_456_789
    await push_lines(stage.loki_url, {"function_id": function_id, "app": "hello"}, [(now, "an error")])
    answer = await stage.ask(
        "logs { nodes { timestamp timestampNs line level labels { name value } } }", function_id
    )
    assert answer.errors == []
    shown = time.strftime("%Y-%m-%dT%H:%M:%S.123456+09:00", time.gmtime(now // 10**9 + 9 * 3600))
    (line,) = answer.functions[0]["logs"]["nodes"]
    assert line == {
        "timestamp": shown,
        "timestampNs": str(now),
        "line": "an error",
        "level": "error",
        "labels": [
            {"name": "app", "value": "hello"},
            {"name": "detected_level", "value": "error"},
            {"name": "function_id", "value": function_id},
            {"name": "service_name", "value": "hello"},
        ],
    }


async def test_cursors_lead_through_all_lines(stage: Stage) -> None:
    """Each page's endCursor is the next one's `after`, in both directions, with a filter."""
    function_id = next(function_ids)
    now = time.time_ns()
    lines = [(now + number // 4, f"{'keep' if number % 3 else 'drop'} {number}") for number in range(30)]
    await push_lines(stage.loki_url, {"function_id": function_id}, lines)
    kept = [line for _, line in lines if line.startswith("keep")]
    for direction, expected in (("OLDEST_FIRST", kept), ("NEWEST_FIRST", kept[::-1])):
        found: list[str] = []
        after: str | None = None
        while True:
            answer = await stage.ask(
                f'logs(first: 6, after: $after, contains: "keep", direction: {direction}) {{ {PAGE} }}',
                function_id,
                variables=", $after: String",
                after=after,
            )
            assert answer.errors == []
            page = answer.functions[0]["logs"]
            assert [edge["node"] for edge in page["edges"]] == page["nodes"]
            found += [node["line"] for node in page["nodes"]]
            info = page["pageInfo"]
            assert (info["startCursor"], info["endCursor"]) == (
                page["edges"][0]["cursor"],
                page["edges"][-1]["cursor"],
            )
            assert info["hasPreviousPage"] == (after is not None)
            if not info["hasNextPage"]:
                break
            after = info["endCursor"]
        assert found == expected


async def test_cursor_of_another_list_is_refused(stage: Stage) -> None:
    """Another function, direction or filter is another list."""
    function_id = next(function_ids)
    await push_lines(stage.loki_url, {"function_id": function_id}, [(time.time_ns(), "line")])
    answer = await stage.ask("logs { pageInfo { endCursor } }", function_id)
    after = answer.functions[0]["logs"]["pageInfo"]["endCursor"]
    for arguments, asked in (
        ("after: $after", "fn-99999999"),
        ("after: $after, direction: OLDEST_FIRST", function_id),
        ('after: $after, contains: "x"', function_id),
    ):
        answer = await stage.ask(
            f"logs({arguments}) {{ nodes {{ line }} }}", asked, variables=", $after: String", after=after
        )
        assert answer.functions == [{"logs": None}]
        extensions = answer.errors[0]["extensions"]
        assert (extensions["code"], extensions["field"]) == ("VALIDATION_ERROR", "after")
        assert answer.calls == {}


async def test_empty_page_has_no_cursors(stage: Stage) -> None:
    """A function that never printed has an empty page and no error."""
    answer = await stage.ask(f"logs {{ {PAGE} }}", next(function_ids))
    info = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    assert answer.functions == [{"logs": {"edges": [], "nodes": [], "pageInfo": info}}]
    assert (answer.errors, answer.calls) == ([], {"loki": 1})


async def test_same_page_twice_is_one_call(stage: Stage) -> None:
    """Aliases of one page are read once; 20 functions are 20 calls, as Loki has none for many."""
    selection = "a: logs { nodes { line } } b: logs { pageInfo { hasNextPage } }"
    ids = [next(function_ids) for _ in range(20)]
    answer = await stage.ask(selection, *ids)
    assert (answer.errors, answer.calls) == ([], {"loki": 20})


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("first: 0", "first"),
        ("first: 1001", "first"),
        ("after: 0", None),
        ('after: "x"', "after"),
        ('since: "2025-12-07T12:00:00Z", until: "2025-12-07T21:00:00+09:00"', "since"),
        ('since: "2020-01-01T00:00:00Z"', "since"),
        ('since: "2025-12-07T12:00:00"', None),
        (f'contains: "{"x" * 1001}"', "contains"),
        ('contains: "\\ud800"', None),
    ],
)
async def test_wrong_argument_is_refused_before_loki_is_asked(
    stage: Stage, arguments: str, field: str | None
) -> None:
    """Each is a VALIDATION_ERROR that names the argument; what GraphQL itself refuses is an error too."""
    answer = await stage.ask(f"logs({arguments}) {{ nodes {{ line }} }}", "fn-00000000")
    assert answer.calls == {}
    extensions = answer.errors[0]["extensions"]
    if field is not None:
        assert (extensions["code"], extensions["field"]) == ("VALIDATION_ERROR", field)
        assert answer.functions == [{"logs": None}]


async def test_half_a_surrogate_pair_is_refused() -> None:
    """JSON can carry one in a variable; no upstream could be sent it."""
    with listen() as listener:
        away = url_of(listener)
    async with open_upstreams(away, away) as stage:
        answer = await stage.ask(
            "logs(contains: $text) { nodes { line } }", "fn-00000000", variables=", $text: String", text="\ud800"
        )
    extensions = answer.errors[0]["extensions"]
    assert (extensions["code"], extensions["field"]) == ("VALIDATION_ERROR", "contains")


async def test_loki_that_is_away_is_an_error_of_the_field() -> None:
    """The field is null with an error; the rest of the query is unharmed."""
    with listen() as listener:
        away = url_of(listener)
    async with open_upstreams(away, away) as stage:
        answer = await stage.ask("id logs { nodes { line } }", "fn-00000001", "fn-00000002")
    assert answer.functions == [{"id": "fn-00000001", "logs": None}, {"id": "fn-00000002", "logs": None}]
    assert [error["path"] for error in answer.errors] == [["functions", 0, "logs"], ["functions", 1, "logs"]]
    extensions = answer.errors[0]["extensions"]
    assert (extensions["code"], extensions["upstream"], extensions["retryable"]) == (
        "LOKI_CONNECTION_ERROR",
        "loki",
        True,
    )
