"""Of functions' rows no more is read than an operation selects, and what was not read is never shown as empty."""

from dataclasses import fields
from typing import Any

import pytest
from graphql import GraphQLObjectType, build_schema

from gateway.app import schema_text
from gateway.records.functions import FunctionRecord
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import function_rows
from schema.columns import COLUMNS
from tests.aws_proxy import AwsProxy
from tests.contents import Contents
from tests.gateway import UPDATE_FUNCTION, Gateway
from tests.schema.test_calls import counted

LIST = """query ($id: ID!, $name: String, $no: Boolean = false) {
  workspace(id: $id) { description functions(nameContains: $name) { nodes { %s } } }
  __typename @include(if: $no)
}"""
VARIABLES = [{"name": f"V{number}", "value": "x" * 300} for number in range(100)]


def read_of_functions(proxy: AwsProxy) -> list[list[str]]:
    """The attributes that each Query of a list of functions reads."""
    found = []
    for sent, _ in proxy.queries:
        if {"S": "FN#"} in sent["ExpressionAttributeValues"].values():
            names = sent["ExpressionAttributeNames"]
            found.append(sorted(names[each] for each in sent["ProjectionExpression"].split(", ")))
    return found


@pytest.mark.parametrize(
    ("selection", "attributes"),
    [
        ("id", []),
        ("__typename workspace { name description } endpoint", []),
        ("... on Function { name } ... @include(if: $no) { memory }", ["memory", "name"]),
        ("environmentVariables { name value }", ["environmentVariables"]),
        ("notInvocableReason", ["invocationUrl", "status"]),
        ("hasUndeployedChanges", ["deployed_revision", "lastDeployed", "revision"]),
        ("latestBuild { id }", ["latest_build_id"]),
        ("deployments { nodes { id } }", ["active_build_id", "current_deployment_id", "namespace"]),
    ],
)
async def test_list_reads_what_is_selected(
    proxied: Gateway, proxy: AwsProxy, selection: str, attributes: list[str]
) -> None:
    """The ProjectionExpression of a list names what its selection is made of, whatever is selected elsewhere."""
    workspace_id = await proxied.create_workspace()
    await proxied.data(LIST % selection, id=workspace_id)
    assert read_of_functions(proxy) == [["PK", "SK", *attributes]]


async def test_list_that_is_filtered_reads_names(proxied: Gateway, proxy: AwsProxy) -> None:
    """A name that is not selected is needed all the same to look into."""
    workspace_id = await proxied.create_workspace()
    await proxied.create_function(workspace_id, "Hello")
    page = await proxied.data(LIST % "__typename", id=workspace_id, name="ell")
    assert page["workspace"]["functions"]["nodes"] == [{"__typename": "Function"}]
    assert read_of_functions(proxy) == [["PK", "SK", "name"]]


async def test_list_leaves_large_environments_where_they_are(
    aws_server: str, proxied: Gateway, proxy: AwsProxy
) -> None:
    """The ids of 50 functions with 30 KB of environment each are a few KB."""
    workspace_id = await proxied.create_workspace()
    environment = {variable["name"]: variable["value"] for variable in VARIABLES}
    rows = [
        {"PK": f"WS#{workspace_id}", "SK": f"FN#fn-{n:08}", "environmentVariables": environment} for n in range(50)
    ]
    Contents(aws_server, proxied.settings).put_rows(rows)
    page = await proxied.data(LIST % "id", id=workspace_id)
    assert len(page["workspace"]["functions"]["nodes"]) == 50
    assert sum(size for _, size in proxy.queries) < 10_000


async def test_each_field_alone_is_as_with_all_others(proxied: Gateway) -> None:
    """What a field is made of is read with it: alone it says what it does beside all others, also by id."""
    workspace_id = await proxied.create_workspace()
    values: dict[str, Any] = {
        "description": "says hello",
        "memory": 512,
        "timeout": 7,
        "httpMethods": ["PUT"],
        "runtime": "Python 3.13",
    }
    id_ = await proxied.create_function(workspace_id, environmentVariables=VARIABLES[:2], **values)
    deployed = {"invocationUrl": "hello.default.svc.cluster.local", "lastDeployed": "2026-03-01T12:00:00Z"}
    await proxied.data(UPDATE_FUNCTION, input={"id": id_, **deployed})
    await proxied.data(UPDATE_FUNCTION, input={"id": id_, "status": "DISABLED", "timeout": 8})
    below = {"environmentVariables": "{ name value }", "deployments": "{ nodes { id } }", "latestBuild": "{ id }"}
    below |= {"builds": "{ nodes { id } }", "executionLogs": "{ nodes { id } }", "workspace": "{ id }"}
    below |= {"invocationHistory": "{ invocations }"}
    fields_ = {name: f"{name} {below.get(name, '')}" for name in COLUMNS if name not in {"logs", "metrics"}}
    whole = (await proxied.data(LIST % " ".join(fields_.values()), id=workspace_id))["workspace"]["functions"][
        "nodes"
    ]
    assert whole[0]["hasUndeployedChanges"] is True
    by_id = "query ($id: ID!) { function(id: $id) { %s } }"
    for name, selection in fields_.items():
        page = await proxied.data(LIST % selection, id=workspace_id)
        assert page["workspace"]["functions"]["nodes"] == [{name: whole[0][name]}]
        assert (await proxied.data(by_id % selection, id=id_))["function"] == {name: whole[0][name]}


async def test_function_that_a_page_has_read_is_not_read_again(aws_server: str, proxied: Gateway) -> None:
    """What is selected of a function further below is read with the page already."""
    workspace_id = await proxied.create_workspace()
    id_ = await proxied.create_function(workspace_id, environmentVariables=VARIABLES[:1])
    deployment = {
        "PK": f"WS#{workspace_id}",
        "SK": f"DEPLOY#{id_}#2026-03-01T21:30:00.000000+09:00",
        "id": f"{id_}-1772368200000000",
        "workspace_id": workspace_id,
        "function_id": id_,
        **dict.fromkeys(("app_name", "namespace", "image_url"), "hello"),
    }
    Contents(aws_server, proxied.settings).put_rows([deployment])
    below = "deployments { nodes { isCurrent canRollback function { environmentVariables { name value } } } }"
    with recording_calls() as calls:
        page = await proxied.data(LIST % below, id=workspace_id)
    (function,) = page["workspace"]["functions"]["nodes"]
    assert function["deployments"]["nodes"][0]["function"] == {"environmentVariables": VARIABLES[:1]}
    assert counted(calls) == {"dynamodb BatchGetItem": 1, "dynamodb Query": 2}


async def test_selections_of_one_function_are_one_read(proxied: Gateway) -> None:
    """Two selections of a function by its id are one row of one batch, with what both need."""
    id_ = await proxied.create_function(await proxied.create_workspace())
    query = """query ($id: ID!) {
      function(id: $id) { name }
      node(id: $id) { ... on Function { memory } }
    }"""
    with recording_calls() as calls:
        data = await proxied.data(query, id=id_)
    assert data == {"function": {"name": "hello"}, "node": {"memory": 256}}
    assert counted(calls) == {"dynamodb BatchGetItem": 1}


def test_every_field_says_what_it_is_made_of() -> None:
    """A new field of functions, and a new column of their records, are not forgotten."""
    function = build_schema(schema_text()).type_map["Function"]
    assert isinstance(function, GraphQLObjectType)
    assert set(COLUMNS) == {*function.fields, "__typename"}
    columns = {each.name for each in fields(FunctionRecord)} - {"id", "workspace_id"}
    assert set(function_rows.COLUMNS) == columns
    assert {column for needed in COLUMNS.values() for column in needed} <= columns


def test_what_was_not_read_is_not_there() -> None:
    """It is an error to take it: nothing is shown as empty that was not looked at."""
    function = function_rows.to_function({"PK": "WS#ws-1", "SK": "FN#fn-1", "name": "hello"}, {"name"})
    assert (function.id, function.workspace_id, function.name) == ("fn-1", "ws-1", "hello")
    with pytest.raises(AttributeError, match="environment_variables"):
        _ = function.environment_variables
