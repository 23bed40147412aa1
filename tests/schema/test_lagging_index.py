"""An index that is behind: lists may lag, what is read by id does not."""

from collections.abc import AsyncIterator

import pytest

from tests.aws import create_platform_table
from tests.aws_proxy import AwsProxy, aws_proxy
from tests.contents import Contents
from tests.gateway import UPDATE_FUNCTION, Gateway, running_gateway

READ = """query ($ws: ID!, $fn: ID!) {
  workspace(id: $ws) { name functionCount functions { totalCount nodes { id } } }
  function(id: $fn) { name code workspace { id } }
  nodes(ids: [$ws, $fn]) { id }
}"""
WORKSPACES = "{ workspaces { nodes { id } } }"


@pytest.fixture
async def index(aws_server: str) -> AsyncIterator[AwsProxy]:
    """What gets each write when it is told to."""
    async with aws_proxy(aws_server) as proxy:
        yield proxy


@pytest.fixture
async def lagging(aws_server: str, index: AwsProxy) -> AsyncIterator[Gateway]:
    """A gateway whose index is behind."""
    async with running_gateway(index.url, aws_endpoint_url_dynamodb=index.url) as gateway:
        contents = Contents(aws_server, gateway.settings)
        create_platform_table(contents.dynamodb, f"{gateway.settings.dynamodb_table_name}-index")
        index.index_lags = True
        yield gateway


async def listed(gateway: Gateway) -> list[str]:
    """The workspaces in the list."""
    return [node["id"] for node in (await gateway.data(WORKSPACES))["workspaces"]["nodes"]]


async def test_reads_by_id_when_the_index_lags(lagging: Gateway, index: AwsProxy) -> None:
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
    await index.catch_up()
    assert await listed(lagging) == [ws]


async def test_deleted_when_the_index_lags(lagging: Gateway, index: AwsProxy) -> None:
    """What was just deleted is gone by its id, whatever lists show; it can't be written to, nor deleted twice."""
    ws = await lagging.create_workspace("Shop")
    await index.catch_up()
    assert await listed(lagging) == [ws]
    mutation = "mutation ($i: DeleteWorkspaceInput!) { deleteWorkspace(input: $i) { deletedWorkspaceId } }"
    await lagging.data(mutation, i={"id": ws})
    assert await listed(lagging) == [ws]
    assert await lagging.data("query ($id: ID!) { node(id: $id) { id } }", id=ws) == {"node": None}
    assert (await lagging.error(mutation, i={"id": ws}))["extensions"]["code"] == "NOT_FOUND"
    await index.catch_up()
    assert await listed(lagging) == []
