"""Lists of thousands: every row exactly once, in order, whatever happens between two pages."""

import asyncio
from typing import Any

import pytest

from gateway.telemetry import recording_calls
from tests.contents import Contents
from tests.gateway import CREATE_FUNCTION, Gateway
from tests.schema.test_calls import counted

COUNT = 3000
FUNCTIONS = """query ($id: ID!, $first: Int!, $after: String, $name: String) {
  workspace(id: $id) {
    functions(first: $first, after: $after, nameContains: $name) {
      totalCount nodes { id name } pageInfo { hasNextPage endCursor }
    }
  }
}"""
LOGS = """query ($id: ID!, $first: Int!, $after: String, $filter: ExecutionLogFilter) {
  workspace(id: $id) {
    executionLogs(first: $first, after: $after, filter: $filter) {
      nodes { id timestamp } pageInfo { hasNextPage endCursor }
    }
  }
}"""
FUNCTION_LOGS = LOGS.replace("workspace(", "function(")
BODIES = LOGS.replace("id timestamp", "id responseBody")


async def walk(gateway: Gateway, query: str, field: str, **variables: Any) -> list[list[Any]]:
    """Every page of a list."""
    pages: list[list[Any]] = []
    after = None
    while True:
        data = await gateway.data(query, after=after, **variables)
        (owner,) = data.values()
        pages.append(owner[field]["nodes"])
        if not owner[field]["pageInfo"]["hasNextPage"]:
            return pages
        after = owner[field]["pageInfo"]["endCursor"]


def function_rows(workspace_id: str, numbers: range, **more: Any) -> list[dict[str, Any]]:
    """Functions as rows."""
    partition = "WS#" + workspace_id
    return [{"PK": partition, "SK": f"FN#fn-{n:08}", "name": f"job {n:04}", **more} for n in numbers]


def log_row(workspace_id: str, n: int, **more: Any) -> dict[str, Any]:
    """An execution log, one a second; those of one second share their time by threes."""
    second = n // 3
    at = f"2026-03-01T{9 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000+09:00"
    return {
        "PK": "FN#fn-00000001",
        "SK": f"LOG#{at}#log{n:05}",
        "GSI1PK": f"WS#{workspace_id}#LOGS",
        "GSI1SK": f"{at}#log{n:05}",
        "id": f"log{n:05}",
        "timestamp": at,
        "status": "error" if n % 100 == 0 else "success",
        "level": "ERROR" if n % 100 == 0 else "INFO",
        "statusCode": 500 if n % 100 == 0 else 200,
        **more,
    }


async def test_functions_in_pages_when_there_are_3000(aws_server: str, gateway: Gateway) -> None:
    """Pages of 100 give each of 3,000 once, in the order of their ids."""
    workspace_id = await gateway.create_workspace()
    Contents(aws_server, gateway.settings).put_rows(function_rows(workspace_id, range(COUNT)))
    pages = await walk(gateway, FUNCTIONS, "functions", id=workspace_id, first=100)
    assert [len(page) for page in pages] == [100] * 30
    assert [node["id"] for page in pages for node in page] == [f"fn-{n:08}" for n in range(COUNT)]
    named = await walk(gateway, FUNCTIONS, "functions", id=workspace_id, first=40, name="B 29")
    assert [len(page) for page in named] == [40, 40, 20]
    assert [node["name"] for page in named for node in page] == [f"job {n}" for n in range(2900, 3000)]
    page = await gateway.data(FUNCTIONS, id=workspace_id, first=5, name="B 29")
    assert page["workspace"]["functions"]["totalCount"] == 100


async def test_logs_in_pages_when_there_are_3000(aws_server: str, gateway: Gateway) -> None:
    """The function's and the workspace's log give each of 3,000 once, newest first, in pages of any size."""
    workspace_id = await gateway.create_workspace()
    contents = Contents(aws_server, gateway.settings)
    pointer = {"PK": "FN#fn-00000001", "SK": "METADATA", "workspace_id": workspace_id}
    rows = function_rows(workspace_id, range(1, 2))
    contents.put_rows([*rows, pointer, *(log_row(workspace_id, n) for n in range(COUNT))])
    expected = [f"log{n:05}" for n in reversed(range(COUNT))]
    of_workspace = await walk(gateway, LOGS, "executionLogs", id=workspace_id, first=1000)
    assert [len(page) for page in of_workspace] == [1000] * 3
    assert [node["id"] for page in of_workspace for node in page] == expected
    of_function = await walk(gateway, FUNCTION_LOGS, "executionLogs", id="fn-00000001", first=700)
    assert [node["id"] for page in of_function for node in page] == expected
    errors = await walk(
        gateway, LOGS, "executionLogs", id=workspace_id, first=14, filter={"status": "ERROR", "level": "ERROR"}
    )
    assert [len(page) for page in errors] == [14, 14, 2]
    assert [node["id"] for page in errors for node in page] == expected[99::100]
    bounded = {"since": "2026-03-01T00:01:00Z", "until": "2026-03-01T00:01:02Z", "status": "SUCCESS"}
    within = await walk(gateway, LOGS, "executionLogs", id=workspace_id, first=4, filter=bounded)
    assert [node["id"] for page in within for node in page] == [f"log{n:05}" for n in range(185, 179, -1)]


async def test_page_when_a_filter_matches_nothing(aws_server: str, gateway: Gateway) -> None:
    """A page reads 64 MB at the most; what is behind that is found by its cursor."""
    workspace_id = await gateway.create_workspace()
    contents = Contents(aws_server, gateway.settings)
    contents.put_rows(function_rows(workspace_id, range(205), code="x" * 390_000))
    contents.put_rows(function_rows(workspace_id, range(205, 206), name="found"))
    with recording_calls() as calls:
        page = await gateway.data(FUNCTIONS.replace("totalCount", ""), id=workspace_id, first=10, name="found")
    connection = page["workspace"]["functions"]
    assert (connection["nodes"], connection["pageInfo"]["hasNextPage"]) == ([], True)
    assert counted(calls)["dynamodb Query"] == 64
    pages = await walk(gateway, FUNCTIONS, "functions", id=workspace_id, first=10, name="found")
    assert [[node["id"] for node in page] for page in pages] == [[], ["fn-00000205"]]


@pytest.mark.parametrize(
    ("count", "body_bytes", "first", "length"),
    [
        (130, 240_000, 1000, {100}),
        (130, 240_000, 100, {100}),
        (300, 70_000, 1000, {16 * 14, 16 * 15}),  # Amazon's counts the row in which 1 MB is reached
        (1000, 15_500, 1000, {1000}),
    ],
)
async def test_pages_with_bodies(
    aws_server: str, gateway: Gateway, count: int, body_bytes: int, first: int, length: set[int]
) -> None:
    """A page with bodies ends after 16 MB once it has 100 logs: each comes once, ordinary ones in full pages."""
    workspace_id = await gateway.create_workspace()
    body = {"responseBody": f'"{"x" * body_bytes}"', "bodyFormat": "json"}
    Contents(aws_server, gateway.settings).put_rows([log_row(workspace_id, n, **body) for n in range(count)])
    with recording_calls() as calls:
        pages = await walk(gateway, BODIES, "executionLogs", id=workspace_id, first=first)
    assert len(pages[0]) in length
    assert [node["id"] for page in pages for node in page] == [f"log{n:05}" for n in reversed(range(count))]
    assert {len(node["responseBody"]) for page in pages for node in page} == {body_bytes}
    assert counted(calls)["dynamodb Query"] <= 34
    (without,) = await walk(gateway, LOGS, "executionLogs", id=workspace_id, first=1000)
    assert len(without) == count


@pytest.mark.parametrize("filtered", [None, "job"])
async def test_pages_when_rows_come_and_go(aws_server: str, gateway: Gateway, filtered: str | None) -> None:
    """What is there all the time comes once, although the cursor's row goes and others come between pages."""
    workspace_id = await gateway.create_workspace()
    contents = Contents(aws_server, gateway.settings)
    contents.put_rows(function_rows(workspace_id, range(0, 40, 2)))
    seen: list[str] = []
    after = None
    for number in range(40):
        data = await gateway.data(FUNCTIONS, id=workspace_id, first=3, after=after, name=filtered)
        connection = data["workspace"]["functions"]
        seen += [node["id"] for node in connection["nodes"]]
        if not connection["pageInfo"]["hasNextPage"]:
            break
        after = connection["pageInfo"]["endCursor"]
        gone = int(seen[-1][3:])
        contents.delete_row("WS#" + workspace_id, f"FN#fn-{gone:08}")
        contents.put_rows(function_rows(workspace_id, range(number + 1, number + 2)))
        contents.put_rows(function_rows(workspace_id, range(gone + 1, gone + 2)))
    assert seen == sorted(set(seen))
    assert {f"fn-{n:08}" for n in range(0, 40, 2)} <= set(seen)


async def test_cursor_when_it_is_of_another_list(gateway: Gateway) -> None:
    """A cursor of another workspace, or of another field, is VALIDATION_ERROR at `after`."""
    one, other = await gateway.create_workspace(), await gateway.create_workspace()
    await gateway.create_function(one)
    cursor_query = "query ($id: ID!) { workspace(id: $id) { functions { pageInfo { endCursor } } } }"
    page = await gateway.data(cursor_query, id=one)
    cursor = page["workspace"]["functions"]["pageInfo"]["endCursor"]
    for query, id_ in ((FUNCTIONS, other), (LOGS, one)):
        error = await gateway.error(query, id=id_, first=5, after=cursor)
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "after")


async def test_total_count_when_functions_are_created_at_once(gateway: Gateway) -> None:
    """functionCount is exact after creates that ran at the same time."""
    workspace_id = await gateway.create_workspace()
    values = {"workspaceId": workspace_id, "name": "x", "code": "cGFzcw=="}
    await asyncio.gather(*(gateway.data(CREATE_FUNCTION, input=values) for _ in range(25)))
    query = "query ($id: ID!) { workspace(id: $id) { functionCount functions { totalCount nodes { id } } } }"
    workspace = (await gateway.data(query, id=workspace_id))["workspace"]
    assert (workspace["functionCount"], workspace["functions"]["totalCount"]) == (25, 25)
    assert len(workspace["functions"]["nodes"]) == 25
