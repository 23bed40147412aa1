"""What is read together fails apart: one page or count that DynamoDB refuses leaves the others."""

from tests.aws_proxy import AwsProxy
from tests.gateway import Gateway

LOGS = """query ($id: ID!) {
  refused: function(id: $id) { executionLogs(filter: {since: "2026-01-01T00:00:00+09:00"}) { nodes { id } } }
  answered: function(id: $id) { executionLogs(filter: {since: "2026-02-01T00:00:00+09:00"}) { nodes { id } } }
}"""
COUNTS = """query ($refused: ID!, $answered: ID!) {
  refused: workspace(id: $refused) { functions(nameContains: "L") { totalCount } }
  answered: workspace(id: $answered) { functions(nameContains: "L") { totalCount } }
}"""


async def test_logs_when_one_of_two_pages_is_refused(proxied: Gateway, proxy: AwsProxy) -> None:
    """It is null with its error, the other one is there."""
    function_id = await proxied.create_function(await proxied.create_workspace())
    proxy.refused_words = ("LOG#2026-01-01",)
    answer = await proxied.answer(LOGS, id=function_id)
    assert answer["data"] == {"refused": None, "answered": {"executionLogs": {"nodes": []}}}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["refused", "executionLogs"], "DYNAMODB_ERROR")


async def test_counts_when_one_workspace_is_refused(proxied: Gateway, proxy: AwsProxy) -> None:
    """The other one's matches are counted."""
    ids = [await proxied.create_workspace() for _ in range(2)]
    for workspace_id in ids:
        await proxied.create_function(workspace_id)
    proxy.refused_words = ("begins_with", f"WS#{ids[0]}")
    answer = await proxied.answer(COUNTS, refused=ids[0], answered=ids[1])
    assert answer["data"] == {"refused": None, "answered": {"functions": {"totalCount": 1}}}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (
        ["refused", "functions", "totalCount"],
        "DYNAMODB_ERROR",
    )
