"""Builds and deployments over the API, on real sockets: started, followed, listed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.builds.live import LiveGateway
from tests.builds.script import ScriptedBuilder

DEPLOY = """mutation ($input: DeployFunctionInput!) {
  deployFunction(input: $input) { build { id kind status sequence isFinished } }
}"""
START = """mutation ($input: StartBuildInput!) {
  startBuild(input: $input) {
    build { id kind status appName sourcePath workspaceId workspace { name } function { id } }
  }
}"""
PROGRESS = """subscription ($id: ID!, $after: Int) {
  buildProgress(id: $id, after: $after) {
    sequence status at
    build { status sequence isFinished error imageUrl function { status } deployment { isCurrent canRollback } }
  }
}"""
WORKSPACE_BUILDS = """subscription ($id: ID!) {
  workspaceBuilds(workspaceId: $id) { sequence status build { id } }
}"""
FUNCTION = """query ($id: ID!) {
  function(id: $id) {
    status invocationUrl hasUndeployedChanges notInvocableReason
    latestBuild { id status steps { status durationMs } }
    builds { nodes { id } pageInfo { hasNextPage } }
    deployments { nodes { id isCurrent canRollback imageUrl endpoint appName function { id } } }
  }
}"""
IMAGE = {"wasm_path": "s3://b/app.wasm", "image_uri": "r.example/f:1"}
ENDPOINT = "hello.default.svc.cluster.local"
NOT_DEPLOYED = (
    "The function's first deployment was cancelled or failed; see its latest build, and deploy it again."
)


async def deploy(gateway: LiveGateway, function_id: str) -> str:
    """The id of a new DEPLOY build."""
    answer = await gateway.data(DEPLOY, input={"functionId": function_id})
    build = answer["deployFunction"]["build"]
    assert build == {"id": build["id"], "kind": "DEPLOY", "status": "PENDING", "sequence": 1, "isFinished": False}
    id_: str = build["id"]
    return id_


async def follow(gateway: LiveGateway, build_id: str, after: int | None = None) -> list[dict[str, Any]]:
    """All events of a build, to the end of the subscription."""
    async with gateway.events(PROGRESS, id=build_id, after=after) as results:
        return [result["data"]["buildProgress"] async for result in results]


async def take(results: AsyncIterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The next events of a workspace."""
    return [(await anext(results))["data"]["workspaceBuilds"] for _ in range(count)]


async def test_deploy_function_when_it_is_followed(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """Every change once and in order, each with what is stored now, and then the end; the function is up."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("running")
    script.says("completed", result=IMAGE)
    script.deployed()
    script.deployed(ENDPOINT)
    build_id = await deploy(gateway, function_id)
    events = await follow(gateway, build_id, after=0)
    assert [(event["sequence"], event["status"]) for event in events] == [
        (1, "PENDING"),
        (2, "BUILDING"),
        (3, "PUSHING"),
        (4, "DEPLOYING"),
        (5, "DONE"),
    ]
    assert [event["build"]["sequence"] for event in events] == [1, 2, 3, 4, 5]
    last = events[-1]["build"]
    assert (last["isFinished"], last["imageUrl"]) == (True, "r.example/f:1")
    assert last["function"] == {"status": "ACTIVE"}
    assert last["deployment"] == {"isCurrent": True, "canRollback": False}
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    assert function["invocationUrl"] == f"http://{ENDPOINT}"
    assert (function["hasUndeployedChanges"], function["notInvocableReason"]) == (False, None)
    assert function["latestBuild"]["id"] == build_id
    assert function["builds"] == {"nodes": [{"id": build_id}], "pageInfo": {"hasNextPage": False}}


async def test_build_progress_when_a_client_reconnects(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """With the last sequence it has seen it gets the rest, and nothing but the end when it has seen all."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)
    build_id = await deploy(gateway, function_id)
    await follow(gateway, build_id)
    assert [event["sequence"] for event in await follow(gateway, build_id, after=3)] == [4, 5]
    assert [event["sequence"] for event in await follow(gateway, build_id)] == [5]
    assert await follow(gateway, build_id, after=5) == []


async def test_deploy_function_when_it_is_deployed_twice(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """The earlier deployment is not the current one any more, and is one to roll back to."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)
    for _ in range(2):
        await follow(gateway, await deploy(gateway, function_id))
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    newest, oldest = function["deployments"]["nodes"]
    assert (newest["isCurrent"], newest["canRollback"]) == (True, False)
    assert (oldest["isCurrent"], oldest["canRollback"]) == (False, True)
    assert oldest["function"] == {"id": function_id}


async def test_deploy_function_when_it_fails(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """The last event says why, and the function says that it cannot be invoked."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("failed", error="/tmp/spin_build_1/app.py:1:1: error: no")
    events = await follow(gateway, await deploy(gateway, function_id))
    assert events[-1]["status"] == "FAILED"
    assert events[-1]["build"]["error"] == "app.py:1:1: error: no"
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    assert function["status"] == "FAILED"
    assert function["notInvocableReason"] == NOT_DEPLOYED


async def test_deploy_function_when_one_is_under_way(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """CONFLICT, with the running build's id in the details."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("running")
    build_id = await deploy(gateway, function_id)
    error = await gateway.error(DEPLOY, input={"functionId": function_id})
    assert (error["extensions"]["code"], error["extensions"]["details"]) == ("CONFLICT", {"buildId": build_id})
    assert error["message"] == (
        f"Another deploy of {function_id} is under way: build {build_id}; wait for its end, "
        "or cancel it with cancelBuild."
    )


async def test_workspace_builds_when_builds_come_and_go(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """What is under way as it is now, and what is started later from its first change on."""
    workspace_id = await gateway.create_workspace()
    script.says("running")
    first = await deploy(gateway, await gateway.create_function(workspace_id))
    async with gateway.events(WORKSPACE_BUILDS, id=workspace_id) as results:
        seen = await take(results, 1)
        while seen[-1]["status"] != "BUILDING":
            seen += await take(results, 1)
        second = await deploy(gateway, await gateway.create_function(workspace_id, "other"))
        later = await take(results, 2)
    assert {event["build"]["id"] for event in seen} == {first}
    assert later == [
        {"sequence": 1, "status": "PENDING", "build": {"id": second}},
        {"sequence": 2, "status": "BUILDING", "build": {"id": second}},
    ]


@pytest.mark.parametrize(
    ("query", "variables", "code", "field"),
    [
        (PROGRESS, {"id": "no-such-build"}, "NOT_FOUND", "id"),
        (PROGRESS, {"id": "../../x"}, "VALIDATION_ERROR", "id"),
        (PROGRESS, {"id": "no-such-build", "after": -1}, "VALIDATION_ERROR", "after"),
        (WORKSPACE_BUILDS, {"id": "ws-none0000"}, "NOT_FOUND", "workspaceId"),
    ],
)
async def test_subscriptions_when_there_is_nothing_to_follow(
    gateway: LiveGateway, query: str, variables: dict[str, Any], code: str, field: str
) -> None:
    """The first and last result is the error."""
    async with gateway.events(query, **variables) as results:
        (result,) = [result async for result in results]
    (error,) = result["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == (code, field)


async def test_start_build_when_a_file_is_uploaded(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """It goes by multipart, and the build names what it belongs to."""
    workspace_id = await gateway.create_workspace("Shop")
    function_id = await gateway.create_function(workspace_id)
    script.says("running")
    answer = await gateway.upload(START, "my-app.py", b"x = 1\n", workspaceId=workspace_id, functionId=function_id)
    build = answer["data"]["startBuild"]["build"]
    key = f"s3://{gateway.settings.s3_bucket_name}/build-sources/{workspace_id}/{build['id']}/my-app.py"
    assert build == {
        "id": build["id"],
        "kind": "BUILD",
        "status": "PENDING",
        "appName": "myapp",
        "sourcePath": key,
        "workspaceId": workspace_id,
        "workspace": {"name": "Shop"},
        "function": {"id": function_id},
    }
    assert script.forms[0]["file"] == ("my-app.py", b"x = 1\n")


async def test_start_build_when_no_file_is_uploaded(gateway: LiveGateway) -> None:
    """A JSON request cannot carry one: VALIDATION_ERROR says how to send it."""
    workspace_id = await gateway.create_workspace()
    error = await gateway.error(START, input={"workspaceId": workspace_id, "file": "x = 1"})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "file")


async def test_start_build_when_the_builder_refuses(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """BUILDER_ERROR in its words, and a FAILED build in the workspace's list."""
    workspace_id = await gateway.create_workspace()
    script.upload = (500, "Internal Server Error")
    answer = await gateway.upload(START, "app.py", b"x = 1\n", workspaceId=workspace_id)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BUILDER_ERROR"
    assert error["extensions"]["upstream"] == "builder"
    query = "query ($id: ID!) { workspace(id: $id) { builds { nodes { id status error } } } }"
    (build,) = (await gateway.data(query, id=workspace_id))["workspace"]["builds"]["nodes"]
    assert (build["status"], build["error"]) == ("FAILED", error["message"])
    found = await gateway.data("query ($id: ID!) { build(id: $id) { id } node(id: $id) { id } }", id=build["id"])
    assert found == {"build": {"id": build["id"]}, "node": {"id": build["id"]}}


async def test_deploy_spin_app_when_no_function_is_named(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """Its answer is all there is: no deployment to roll back to, and an id that says where it runs."""
    script.deployed(ENDPOINT)
    query = """mutation ($input: DeploySpinAppInput!) {
      deploySpinApp(input: $input) { deployment { id endpoint isCurrent canRollback function { id } } }
    }"""
    answer = await gateway.data(query, input={"imageRef": "r.example/f:1", "customTolerations": [{"key": "x"}]})
    assert answer["deploySpinApp"]["deployment"] == {
        "id": "default/hello",
        "endpoint": ENDPOINT,
        "isCurrent": False,
        "canRollback": False,
        "function": None,
    }
    assert script.bodies[0]["custom_tolerations"] == [{"key": "x"}]


async def test_build_when_there_is_none(gateway: LiveGateway) -> None:
    """Null and NOT_FOUND."""
    answer = await gateway.answer('{ build(id: "no-such-build") { id } }')
    assert answer["data"] == {"build": None}
    assert answer["errors"][0]["extensions"]["code"] == "NOT_FOUND"
