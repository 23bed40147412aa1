"""Functions through the API."""

import base64
from typing import Any

import pytest

from tests.gateway import CREATE_FUNCTION, SOURCE, UPDATE_FUNCTION, Gateway
from tests.stores import StoppedClock

CODE = base64.b64encode(SOURCE).decode()
DELETE = """mutation ($input: DeleteFunctionInput!) {
  deleteFunction(input: $input) { deletedFunctionId workspace { functionCount } }
}"""
READ = """query ($id: ID!) {
  function(id: $id) {
    name description runtime memory timeout httpMethods environmentVariables { name value } code status
    notInvocableReason hasUndeployedChanges invocationUrl endpoint createdAt lastModified lastDeployed
    workspace { id }
  }
}"""


async def test_create_with_defaults(gateway: Gateway) -> None:
    """A new function has the contract's defaults, is ACTIVE, and says why it cannot be invoked."""
    workspace_id = await gateway.create_workspace()
    id_ = await gateway.create_function(workspace_id)
    assert (await gateway.data(READ, id=id_))["function"] == {
        "name": "hello",
        "description": "",
        "runtime": "Python 3.12",
        "memory": 256,
        "timeout": 30,
        "httpMethods": ["GET"],
        "environmentVariables": [],
        "code": CODE,
        "status": "ACTIVE",
        "notInvocableReason": "The function was never deployed; deploy it first.",
        "hasUndeployedChanges": False,
        "invocationUrl": None,
        "endpoint": f"http://gateway.example.com/invoke/{id_}/",
        "createdAt": "2026-03-01T21:30:00+09:00",
        "lastModified": "2026-03-01T21:30:00+09:00",
        "lastDeployed": None,
        "workspace": {"id": workspace_id},
    }


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"name": " "}, "VALIDATION_ERROR", "name"),
        ({"name": "a\rb"}, "VALIDATION_ERROR", "name"),
        ({"memory": 127}, "VALIDATION_ERROR", "memory"),
        ({"memory": 1025}, "VALIDATION_ERROR", "memory"),
        ({"memory": 1.5}, "VALIDATION_ERROR", "memory"),
        ({"memory": 2**40}, "VALIDATION_ERROR", "memory"),
        ({"timeout": 0}, "VALIDATION_ERROR", "timeout"),
        ({"timeout": 901}, "VALIDATION_ERROR", "timeout"),
        ({"httpMethods": []}, "VALIDATION_ERROR", "httpMethods"),
        ({"httpMethods": ["BREW"]}, "VALIDATION_ERROR", "httpMethods.0"),
        (
            {"environmentVariables": [{"name": "1A", "value": ""}]},
            "VALIDATION_ERROR",
            "environmentVariables.0.name",
        ),
        (
            {"environmentVariables": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            "VALIDATION_ERROR",
            "environmentVariables.1.name",
        ),
        (
            {"environmentVariables": [{"name": "A", "value": "x" * 32768}]},
            "VALIDATION_ERROR",
            "environmentVariables",
        ),
        ({"description": "x" * 1001}, "VALIDATION_ERROR", "description"),
        ({"runtime": ""}, "VALIDATION_ERROR", "runtime"),
        ({"code": ""}, "VALIDATION_ERROR", "code"),
        ({"code": "a"}, "VALIDATION_ERROR", "code"),
        ({"code": "cHJp bnQ="}, "VALIDATION_ERROR", "code"),
        ({"code": base64.b64encode(b"\xff\xfe").decode()}, "VALIDATION_ERROR", "code"),
        ({"code": base64.b64encode(b"#" * (1024 * 1024 + 1)).decode()}, "PAYLOAD_TOO_LARGE", "code"),
        ({"workspaceId": "ws-missing1"}, "NOT_FOUND", "workspaceId"),
        ({"workspaceId": "../../etc"}, "VALIDATION_ERROR", "workspaceId"),
    ],
)
async def test_create_when_the_input_is_bad(
    gateway: Gateway, values: dict[str, Any], code: str, field: str
) -> None:
    """Bad input names its field, and neither a row nor an object is left behind."""
    workspace_id = await gateway.create_workspace()
    given = {"workspaceId": workspace_id, "name": "hello", "code": CODE, **values}
    error = await gateway.error(CREATE_FUNCTION, input=given)
    assert (error["extensions"]["code"], error["extensions"].get("field")) == (code, field)
    query = "query ($id: ID!) { workspace(id: $id) { functionCount functions { totalCount nodes { id } } } }"
    workspace = (await gateway.data(query, id=workspace_id))["workspace"]
    assert workspace == {"functionCount": 0, "functions": {"totalCount": 0, "nodes": []}}


async def test_create_when_the_source_is_large(gateway: Gateway) -> None:
    """A source of 1 MiB, more than a row could hold, is stored and read back."""
    code = base64.b64encode(b"#" * (1024 * 1024)).decode()
    id_ = await gateway.create_function(await gateway.create_workspace(), code=code)
    assert (await gateway.data("query ($id: ID!) { function(id: $id) { code } }", id=id_))["function"][
        "code"
    ] == code


async def test_update_changes_what_is_given(gateway: Gateway, clock: StoppedClock) -> None:
    """What is given changes and moves lastModified, the rest stays; null clears where that means something."""
    id_ = await gateway.create_function(await gateway.create_workspace(), description="says hello")
    clock.advance(minutes=1)
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "name": "renamed", "memory": 512})
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "description": None, "status": "DISABLED"})
    function = (await gateway.data(READ, id=id_))["function"]
    assert (function["name"], function["memory"], function["description"]) == ("renamed", 512, "")
    assert (function["timeout"], function["code"]) == (30, CODE)
    assert function["lastModified"] == "2026-03-01T21:31:00+09:00"
    assert function["notInvocableReason"] == "The function is disabled; set its status to ACTIVE to enable it."


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": None}, "name"),
        ({"memory": None}, "memory"),
        ({"environmentVariables": None}, "environmentVariables"),
        ({"code": None}, "code"),
        ({"httpMethods": []}, "httpMethods"),
        ({"status": "BUILDING"}, "status"),
        ({"invocationUrl": "http://169.254.169.254/latest/meta-data"}, "invocationUrl"),
        ({"invocationUrl": "ftp://x.default.svc.cluster.local"}, "invocationUrl"),
        ({"invocationUrl": "http://user:pass@x.default.svc.cluster.local"}, "invocationUrl"),
        ({"invocationUrl": "http://x.default.svc.cluster.local:8080"}, "invocationUrl"),
        ({"invocationUrl": "http://" + "x" * 2048}, "invocationUrl"),
        ({"lastDeployed": "2026-01-01T00:00:00"}, "lastDeployed"),
    ],
)
async def test_update_when_the_input_is_bad(gateway: Gateway, values: dict[str, Any], field: str) -> None:
    """A bad change names its field and changes nothing."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    before = await gateway.data(READ, id=id_)
    error = await gateway.error(UPDATE_FUNCTION, input={"id": id_, **values})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", field)
    assert await gateway.data(READ, id=id_) == before


async def test_update_invocation_url(gateway: Gateway) -> None:
    """A missing scheme becomes http://, null clears it."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    url = "hello.default.svc.cluster.local"
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": url})
    function = (await gateway.data(READ, id=id_))["function"]
    assert (function["invocationUrl"], function["notInvocableReason"]) == (f"http://{url}", None)
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": None})
    assert (await gateway.data(READ, id=id_))["function"]["invocationUrl"] is None


async def test_undeployed_changes(gateway: Gateway) -> None:
    """After a deploy by the client itself, a new source or environment counts as undeployed; a name does not."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    query = "query ($id: ID!) { function(id: $id) { hasUndeployedChanges } }"
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "lastDeployed": "2026-03-01T12:00:00Z"})
    assert (await gateway.data(query, id=id_))["function"]["hasUndeployedChanges"] is False
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "name": "renamed"})
    assert (await gateway.data(query, id=id_))["function"]["hasUndeployedChanges"] is False
    await gateway.data(UPDATE_FUNCTION, input={"id": id_, "environmentVariables": [{"name": "A", "value": "1"}]})
    assert (await gateway.data(query, id=id_))["function"]["hasUndeployedChanges"] is True


async def test_delete_when_never_deployed(gateway: Gateway) -> None:
    """A function that was never deployed goes without a call to Kubernetes, which does not answer here."""
    workspace_id = await gateway.create_workspace()
    id_ = await gateway.create_function(workspace_id)
    deleted = await gateway.data(DELETE, input={"id": id_})
    assert deleted == {"deleteFunction": {"deletedFunctionId": id_, "workspace": {"functionCount": 0}}}
    error = await gateway.error(READ, id=id_)
    assert error["extensions"]["code"] == "NOT_FOUND"
    assert (await gateway.error(DELETE, input={"id": id_}))["extensions"]["code"] == "NOT_FOUND"


async def test_list_by_name(gateway: Gateway) -> None:
    """nameContains ignores case, works with paging, and totalCount counts the matches."""
    workspace_id = await gateway.create_workspace()
    for number in range(5):
        await gateway.create_function(workspace_id, f"{'Mail' if number % 2 else 'order'}-{number}")
    query = """query ($id: ID!, $after: String) {
      workspace(id: $id) {
        functions(first: 1, after: $after, nameContains: "mAIL") {
          totalCount nodes { name invocations24h } pageInfo { hasNextPage endCursor }
        }
      }
    }"""
    first = (await gateway.data(query, id=workspace_id))["workspace"]["functions"]
    after = first["pageInfo"]["endCursor"]
    second = (await gateway.data(query, id=workspace_id, after=after))["workspace"]["functions"]
    names = sorted(node["name"] for node in first["nodes"] + second["nodes"])
    assert names == ["Mail-1", "Mail-3"]
    assert (first["totalCount"], second["totalCount"]) == (2, 2)
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


async def test_page_when_loki_and_prometheus_do_not_answer(gateway: Gateway) -> None:
    """What does not answer is null with its own error; the rest of the page is there."""
    id_ = await gateway.create_function(await gateway.create_workspace())
    query = """query ($id: ID!) {
      function(id: $id) {
        name logs { nodes { line } } metrics { cpu { current } } executionLogs { nodes { id } }
      }
    }"""
    answer = await gateway.answer(query, id=id_)
    assert answer["data"]["function"] == {
        "name": "hello",
        "logs": None,
        "metrics": None,
        "executionLogs": {"nodes": []},
    }
    by_path = {".".join(error["path"]): error["extensions"] for error in answer["errors"]}
    assert by_path["function.logs"]["code"] == "LOKI_CONNECTION_ERROR"
    assert by_path["function.logs"]["upstream"] == "loki"
    assert by_path["function.logs"]["retryable"] is True
    assert by_path["function.metrics"]["code"] == "PROMETHEUS_CONNECTION_ERROR"
