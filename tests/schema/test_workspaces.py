"""Workspaces through the API."""

from typing import Any

import pytest

from tests.gateway import CREATE_WORKSPACE, Gateway
from tests.stores import StoppedClock

UPDATE = """mutation ($input: UpdateWorkspaceInput!) {
  updateWorkspace(input: $input) { workspace { name description } }
}"""
DELETE = "mutation ($input: DeleteWorkspaceInput!) { deleteWorkspace(input: $input) { deletedWorkspaceId } }"
READ = "query ($id: ID!) { workspace(id: $id) { name description createdAt functionCount errorRate } }"


async def test_create_and_read(gateway: Gateway) -> None:
    """What was just created is found by its id, trimmed, and with figures of zero."""
    id_ = await gateway.create_workspace("  Café ☕  ", description="two\nlines")
    assert await gateway.data(READ, id=id_) == {
        "workspace": {
            "name": "Café ☕",
            "description": "two\nlines",
            "createdAt": "2026-03-01T21:30:00+09:00",
            "functionCount": 0,
            "errorRate": 0.0,
        }
    }


async def test_list_newest_first_in_pages(gateway: Gateway, clock: StoppedClock) -> None:
    """Paging gives every workspace once, the newest first."""
    created = []
    for number in range(5):
        created.append(await gateway.create_workspace(f"ws {number}"))
        clock.advance(seconds=1)
    query = """query ($after: String) {
      workspaces(first: 2, after: $after) {
        edges { cursor node { id } } nodes { id }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }"""
    seen: list[str] = []
    after = None
    for expected_next in (True, True, False):
        page = (await gateway.data(query, after=after))["workspaces"]
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        info = page["pageInfo"]
        assert (info["hasNextPage"], info["hasPreviousPage"]) == (expected_next, after is not None)
        assert info["startCursor"] == page["edges"][0]["cursor"]
        after = info["endCursor"]
        seen += [node["id"] for node in page["nodes"]]
    assert seen == created[::-1]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "ok", "description": "x" * 1001}, "description"),
        ({"name": "ok", "description": "bell\u0007"}, "description"),
        ({"name": 5}, "name"),
        ({}, "name"),
        ({"name": "ok", "nickname": "x"}, "nickname"),
    ],
)
async def test_create_when_the_input_is_bad(gateway: Gateway, values: dict[str, Any], field: str) -> None:
    """Bad input names its field, and nothing is stored."""
    error = await gateway.error(CREATE_WORKSPACE, input=values)
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", field)
    assert (await gateway.data("{ workspaces { nodes { id } } }"))["workspaces"]["nodes"] == []


async def test_update_changes_what_is_given(gateway: Gateway) -> None:
    """Only the fields given change; null clears the description and is refused for the name."""
    id_ = await gateway.create_workspace("Shop", description="sells")
    updated = await gateway.data(UPDATE, input={"id": id_, "name": "Store"})
    assert updated["updateWorkspace"]["workspace"] == {"name": "Store", "description": "sells"}
    updated = await gateway.data(UPDATE, input={"id": id_, "description": None})
    assert updated["updateWorkspace"]["workspace"] == {"name": "Store", "description": ""}
    error = await gateway.error(UPDATE, input={"id": id_, "name": None})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "name")


async def test_workspace_when_there_is_none(gateway: Gateway) -> None:
    """A missing workspace is null with NOT_FOUND, an id that can't be one is VALIDATION_ERROR, node is null."""
    answer = await gateway.answer(READ, id="ws-missing1")
    assert answer["data"] == {"workspace": None}
    assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND", "field": "id", "retryable": False}
    error = await gateway.error(READ, id='ws-1" or 1=1')
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "id")
    assert await gateway.data('{ node(id: "ws-missing1") { id } }') == {"node": None}
    error = await gateway.error(UPDATE, input={"id": "ws-missing1", "name": "x"})
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_delete_with_its_functions(gateway: Gateway) -> None:
    """A deleted workspace is gone with its functions; deleting it again is NOT_FOUND."""
    id_ = await gateway.create_workspace()
    function_ids = [await gateway.create_function(id_, f"fn{number}") for number in range(3)]
    assert await gateway.data(DELETE, input={"id": id_}) == {"deleteWorkspace": {"deletedWorkspaceId": id_}}
    nodes = await gateway.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[id_, *function_ids])
    assert nodes == {"nodes": [None] * 4}
    assert (await gateway.error(DELETE, input={"id": id_}))["extensions"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("after", ["nonsense", "", "d29ya3NwYWNlcw", "Zm9vCmJhcg"])
async def test_cursor_when_it_is_foreign(gateway: Gateway, after: str) -> None:
    """A cursor that is none, or of another list, is VALIDATION_ERROR."""
    error = await gateway.error(
        "query ($after: String) { workspaces(after: $after) { nodes { id } } }", after=after
    )
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "after")


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_first_when_it_is_out_of_bounds(gateway: Gateway, first: int) -> None:
    """A page has 1 to 100 items."""
    error = await gateway.error("query ($n: Int!) { workspaces(first: $n) { nodes { id } } }", n=first)
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "first")
