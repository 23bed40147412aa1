"""An index that is a second behind: lists may lag, what is read by id does not."""

from collections.abc import AsyncIterator

import pytest

from tests.aws import create_platform_table
from tests.aws_proxy import aws_proxy
from tests.contents import Contents
from tests.gateway import UPDATE_FUNCTION, Gateway, running_gateway
from tests.observability import wait_until

LAG_S = 1.0
READ = """query ($ws: ID!, $fn: ID!) {
  workspace(id: $ws) { name functionCount functions { totalCount nodes { id } } }
  function(id: $fn) { name code workspace { id } }
  nodes(ids: [$ws, $fn]) { id }
}"""
WORKSPACES = "{ workspaces { nodes { id } } }"


@pytest.fixture
async def lagging(aws_server: str) -> AsyncIterator[Gateway]:
    """A gateway whose index gets each write a second later."""
    async with (
        aws_proxy(aws_server) as proxy,
        running_gateway(proxy.url, aws_endpoint_url_dynamodb=proxy.url) as gateway,
    ):
        contents = Contents(aws_server, gateway.settings)
        create_platform_table(contents.dynamodb, f"{gateway.settings.dynamodb_table_name}-index")
        proxy.index_lag_s = LAG_S
        yield gateway


async def listed(gateway: Gateway) -> list[str]:
    """The workspaces in the list."""
    return [node["id"] for node in (await gateway.data(WORKSPACES))["workspaces"]["nodes"]]


async def test_reads_by_id_when_the_index_lags(lagging: Gateway) -> None:
    """What was just created or changed is found by its id, counted and in its workspace; the list comes later."""
    ws = await lagging.create_workspace("Shop")
    fn = await lagging.create_function(ws)
    await lagging.data(UPDATE_FUNCTION, input={"id": fn, "name": "renamed"})
    assert await listed(lagging) == []
    assert await lagging.data(READ, ws=ws, fn=fn) == {
        "workspace": {"name": "Shop", "functionCount": 1, "functions": {"totalCount": 1, "nodes": [{"id": fn}]}},
        "function": {"name": "renamed", "code": "ZnJvbSBzcGluX3NkayBpbXBvcnQgaHR0cAo=", "workspace": {"id": ws}},
        "nodes": [{"id": ws}, {"id": fn}],
    }

    async def is_listed() -> bool:
        return await listed(lagging) == [ws]

    await wait_until(is_listed)


async def test_deleted_when_the_index_lags(lagging: Gateway) -> None:
    """What was just deleted is gone by its id, whatever lists show; it can't be written to, nor deleted twice."""
    ws = await lagging.create_workspace("Shop")

    async def is_listed() -> bool:
        return await listed(lagging) == [ws]

    await wait_until(is_listed)
    mutation = "mutation ($i: DeleteWorkspaceInput!) { deleteWorkspace(input: $i) { deletedWorkspaceId } }"
    await lagging.data(mutation, i={"id": ws})
    assert await listed(lagging) == [ws]
    assert await lagging.data("query ($id: ID!) { node(id: $id) { id } }", id=ws) == {"node": None}
    assert (await lagging.error(mutation, i={"id": ws}))["extensions"]["code"] == "NOT_FOUND"

    async def is_gone() -> bool:
        return await listed(lagging) == []

    await wait_until(is_gone)
