"""What each page costs in upstream calls: an N+1 is a failing test."""

from collections import Counter

import pytest

from gateway.telemetry import UpstreamCall, recording_calls
from tests.contents import Contents
from tests.gateway import UPDATE_FUNCTION, Gateway, on_the_same_table

LANDING = """{ workspaces { nodes { id name functionCount invocations24h errors24h errorRate } } }"""
DASHBOARD = """query ($id: ID!) {
  workspace(id: $id) {
    name functionCount invocations24h errors24h errorRate
    functions(first: 50) {
      totalCount
      nodes { id name status invocations24h errors24h errorRate avgDuration invocationHistory { invocations } }
    }
    executionLogs(first: 50) { nodes { id status duration } }
    builds { nodes { id status } }
  }
}"""
FUNCTIONS = """query ($id: ID!, $after: String) {
  workspace(id: $id) {
    functions(first: 50, after: $after) { nodes { id name invocations24h } pageInfo { hasNextPage endCursor } }
  }
}"""
FUNCTION_PAGE = """query ($id: ID!) {
  function(id: $id) {
    name status invocations24h errors24h avgDuration
    executionLogs(first: 100) { nodes { id status requestBody responseBody } }
    logs(first: 100) { nodes { line } }
    metrics { cpu { current points { value } } memory { current points { value } } replicas { current } }
  }
}"""


def counted(calls: list[UpstreamCall]) -> Counter[str]:
    """How often each operation was called."""
    return Counter(f"{call.system} {call.operation}" for call in calls)


@pytest.mark.parametrize("functions", [1, 12])
async def test_dashboard_calls(gateway: Gateway, functions: int) -> None:
    """A dashboard is five calls, however many functions there are."""
    workspace_id = await gateway.create_workspace()
    for number in range(functions):
        await gateway.create_function(workspace_id, f"fn{number}")
    with recording_calls() as calls:
        page = await gateway.data(DASHBOARD, id=workspace_id)
    assert len(page["workspace"]["functions"]["nodes"]) == functions
    assert counted(calls) == {"dynamodb BatchGetItem": 1, "dynamodb Query": 4}


async def test_dashboard_calls_when_rows_are_large(aws_server: str, gateway: Gateway) -> None:
    """Each further megabyte of stored rows is one more call, whatever is asked for of them."""
    workspace_id = await gateway.create_workspace()
    partition = "WS#" + workspace_id
    rows = [{"PK": partition, "SK": f"FN#fn-{n:08}", "name": "old", "code": "x" * 120_000} for n in range(20)]
    Contents(aws_server, gateway.settings).put_rows(rows[:8])
    Contents(aws_server, gateway.settings).put_rows(rows[8:])
    with recording_calls() as calls:
        page = await gateway.data(DASHBOARD, id=workspace_id)
    assert len(page["workspace"]["functions"]["nodes"]) == 20
    # 20 rows of 120 KB are three pages; and figures that no row holds are asked for by key.
    assert counted(calls) == {"dynamodb BatchGetItem": 2, "dynamodb Query": 6}


async def test_pages_of_many_functions_calls(aws_server: str, gateway: Gateway) -> None:
    """200 functions with their figures in pages of 50: two range reads a page, and one for the workspace."""
    workspace_id = await gateway.create_workspace()
    partition = "WS#" + workspace_id
    contents = Contents(aws_server, gateway.settings)
    contents.put_rows([{"PK": partition, "SK": f"FN#fn-{n:08}", "name": "f"} for n in range(200)])
    contents.put_rows([{"PK": partition, "SK": f"FNSTATS#fn-{n:08}"} for n in range(200)])
    after, seen = None, 0
    for page_number in range(4):
        with recording_calls() as calls:
            page = (await gateway.data(FUNCTIONS, id=workspace_id, after=after))["workspace"]["functions"]
        assert counted(calls) == {"dynamodb BatchGetItem": 1, "dynamodb Query": 2}
        assert page["pageInfo"]["hasNextPage"] is (page_number < 3)
        after, seen = page["pageInfo"]["endCursor"], seen + len(page["nodes"])
    assert seen == 200


async def test_builds_calls(gateway: Gateway) -> None:
    """A workspace's builds are one Query of the index."""
    workspace_id = await gateway.create_workspace()
    query = "query ($id: ID!) { workspace(id: $id) { builds(first: 50) { nodes { id status } } } }"
    with recording_calls() as calls:
        await gateway.data(query, id=workspace_id)
    assert counted(calls) == {"dynamodb BatchGetItem": 1, "dynamodb Query": 1}


async def test_no_request_scans(gateway: Gateway) -> None:
    """Whatever is read, written and deleted: nothing looks through the whole table."""
    with recording_calls() as calls:
        workspace_id = await gateway.create_workspace()
        function_id = await gateway.create_function(workspace_id)
        for query in (LANDING, DASHBOARD, FUNCTION_PAGE):
            await gateway.answer(query, id=workspace_id if query is DASHBOARD else function_id)
        update = {"id": function_id, "name": "renamed", "code": "cGFzcw=="}
        await gateway.data(UPDATE_FUNCTION, input=update)
        mutation = "mutation ($i: DeleteWorkspaceInput!) { deleteWorkspace(input: $i) { deletedWorkspaceId } }"
        await gateway.data(mutation, i={"id": workspace_id})
    assert len(calls) > 20
    assert "dynamodb Scan" not in counted(calls)


async def test_landing_calls(gateway: Gateway) -> None:
    """The landing page is one Query of the index and one BatchGetItem for the figures."""
    for number in range(3):
        await gateway.create_workspace(f"ws {number}")
    with recording_calls() as calls:
        page = await gateway.data(LANDING)
    assert [node["name"] for node in page["workspaces"]["nodes"]] == ["ws 2", "ws 1", "ws 0"] or len(
        page["workspaces"]["nodes"]
    ) == 3
    assert counted(calls) == {"dynamodb Query": 1, "dynamodb BatchGetItem": 1}


async def test_function_page_calls(gateway: Gateway) -> None:
    """A function's page is two calls to DynamoDB, one to Loki and two to Prometheus for each metric."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    with recording_calls() as calls:
        answer = await gateway.answer(FUNCTION_PAGE, id=function_id)
    assert answer["data"]["function"]["name"] == "hello"
    assert counted(calls) == {
        "dynamodb BatchGetItem": 1,
        "dynamodb Query": 1,
        "loki GET /loki/api/v1/query_range": 1,
        "prometheus POST /api/v1/query": 3,
        "prometheus POST /api/v1/query_range": 3,
    }


async def test_function_page_calls_when_the_id_is_new(gateway: Gateway) -> None:
    """An id that the process does not know costs one more call, for its pointer."""
    with recording_calls() as calls:
        await gateway.answer(FUNCTION_PAGE, id="fn-unknown1")
    assert counted(calls) == {"dynamodb BatchGetItem": 1}


async def test_function_page_calls_when_the_process_is_new(gateway: Gateway) -> None:
    """A process that has not seen the function yet reads its pointer first, once."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    page = {"dynamodb BatchGetItem": 1, "dynamodb Query": 1}
    async with on_the_same_table(gateway) as other:
        for pointers in (1, 0):
            with recording_calls() as calls:
                await other.answer(FUNCTION_PAGE, id=function_id)
            found = {name: n for name, n in counted(calls).items() if name.startswith("dynamodb")}
            assert found == page | {"dynamodb BatchGetItem": 1 + pointers}


async def test_code_is_read_only_when_selected(gateway: Gateway) -> None:
    """The source is one GetObject, and nothing at all where it is not asked for."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    with recording_calls() as calls:
        page = await gateway.data("query ($id: ID!) { function(id: $id) { code } }", id=function_id)
    assert page["function"]["code"] == "ZnJvbSBzcGluX3NkayBpbXBvcnQgaHR0cAo="
    assert counted(calls) == {"dynamodb BatchGetItem": 1, "s3 GetObject": 1}


async def test_cpu_of_all_functions_of_a_dashboard(gateway: Gateway) -> None:
    """The CPU of many functions is one instant and one range query."""
    workspace_id = await gateway.create_workspace()
    for number in range(5):
        await gateway.create_function(workspace_id, f"fn{number}")
    query = """query ($id: ID!) {
      workspace(id: $id) { functions { nodes { metrics { cpu { current points { value } } } } } }
    }"""
    with recording_calls() as calls:
        await gateway.answer(query, id=workspace_id)
    assert counted(calls)["prometheus POST /api/v1/query"] == 1
    assert counted(calls)["prometheus POST /api/v1/query_range"] == 1


async def test_cost_is_told_to_the_client(gateway: Gateway) -> None:
    """`extensions.cost` counts the calls of an operation by system."""
    await gateway.create_workspace()
    answer = await gateway.answer(LANDING)
    assert answer["extensions"]["cost"]["upstreamCalls"] == {"dynamodb": 2}
