"""Cancelling, rolling back, pushing and manifests over the API, with the codes of what is refused."""

import logging
from typing import Any

import pytest

from tests.builds.live import LiveGateway
from tests.builds.samples import a_zip
from tests.builds.script import ACCEPTED, ScriptedBuilder
from tests.contents import Contents
from tests.schema.builds.test_builds import ENDPOINT, FUNCTION, IMAGE, NOT_DEPLOYED, deploy, follow

CANCEL = """mutation ($input: CancelBuildInput!) {
  cancelBuild(input: $input) { build { status isFinished error function { status notInvocableReason } } }
}"""
ROLLBACK = """mutation ($input: RollbackFunctionInput!) {
  rollbackFunction(input: $input) { build { id kind status imageUrl } }
}"""
PUSH = """mutation ($input: StartPushInput!) {
  startPush(input: $input) { build { id kind status sourcePath } }
}"""
SCAFFOLD = """mutation ($input: ScaffoldSpinAppInput!) {
  scaffoldSpinApp(input: $input) { success yamlContent filePath error }
}"""
BUILD_AND_PUSH = """mutation ($input: StartBuildAndPushInput!) {
  startBuildAndPush(input: $input) { build { id sourcePath } }
}"""
DELETE = """mutation ($input: DeleteFunctionInput!) { deleteFunction(input: $input) { deletedFunctionId } }"""
SECRET = "s3cret-t0ken-of-the-registry"


def codes(error: dict[str, Any]) -> tuple[str, str | None, Any]:
    """Code, field and details of an error."""
    extensions = error["extensions"]
    return extensions["code"], extensions.get("field"), extensions.get("details")


async def deployed_twice(gateway: LiveGateway, script: ScriptedBuilder) -> tuple[str, list[dict[str, Any]]]:
    """A function with two deployments, newest first."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)
    for _ in range(2):
        await follow(gateway, await deploy(gateway, function_id))
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    return function_id, function["deployments"]["nodes"]


async def test_cancel_build_when_it_is_followed(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """Who follows it sees the end, the function is free again, and a second time it is CONFLICT."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("running")
    build_id = await deploy(gateway, function_id)
    cancelled = (await gateway.data(CANCEL, input={"id": build_id}))["cancelBuild"]["build"]
    assert cancelled == {
        "status": "CANCELLED",
        "isFinished": True,
        "error": None,
        "function": {"status": "FAILED", "notInvocableReason": NOT_DEPLOYED},
    }
    assert (await follow(gateway, build_id, after=0))[-1]["status"] == "CANCELLED"
    error = await gateway.error(CANCEL, input={"id": build_id})
    assert codes(error) == ("CONFLICT", None, {"status": "CANCELLED"})
    assert codes(await gateway.error(CANCEL, input={"id": "no-such-build"})) == ("NOT_FOUND", "id", None)
    await deploy(gateway, function_id)


async def test_rollback_function_when_there_is_an_earlier_one(
    gateway: LiveGateway, script: ScriptedBuilder
) -> None:
    """canRollback says where it is accepted: not while it runs, and then on the one that was current before."""
    function_id, (newest, oldest) = await deployed_twice(gateway, script)
    assert (newest["canRollback"], oldest["canRollback"]) == (False, True)
    script.deploys.clear()
    script.deployed()
    given = {"functionId": function_id, "deploymentId": oldest["id"]}
    build = (await gateway.data(ROLLBACK, input=given))["rollbackFunction"]["build"]
    assert (build["kind"], build["status"], build["imageUrl"]) == ("ROLLBACK", "DEPLOYING", "r.example/f:1")
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    assert (function["status"], function["latestBuild"]["id"]) == ("DEPLOYING", build["id"])
    assert function["notInvocableReason"] is None
    assert [node["canRollback"] for node in function["deployments"]["nodes"]] == [False, False]
    assert codes(await gateway.error(ROLLBACK, input=given)) == ("CONFLICT", None, {"buildId": build["id"]})
    script.deployed(ENDPOINT)
    script.deploys.popleft()
    events = await follow(gateway, build["id"], after=0)
    assert [event["status"] for event in events] == ["DEPLOYING", "DONE"]
    function = (await gateway.data(FUNCTION, id=function_id))["function"]
    nodes = function["deployments"]["nodes"]
    assert [(node["isCurrent"], node["canRollback"]) for node in nodes] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert (function["status"], function["hasUndeployedChanges"]) == ("ACTIVE", False)


async def test_rollback_function_when_it_is_refused(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """CONFLICT for what runs now, NOT_FOUND for what is not the function's."""
    function_id, (newest, _) = await deployed_twice(gateway, script)
    error = await gateway.error(ROLLBACK, input={"functionId": function_id, "deploymentId": newest["id"]})
    assert codes(error) == ("CONFLICT", None, None)
    error = await gateway.error(ROLLBACK, input={"functionId": function_id, "deploymentId": "none"})
    assert codes(error) == ("NOT_FOUND", "deploymentId", None)
    error = await gateway.error(ROLLBACK, input={"functionId": "fn-none0000", "deploymentId": newest["id"]})
    assert codes(error) == ("NOT_FOUND", "functionId", None)


async def test_function_when_its_source_changes(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """It has undeployed changes until it is deployed again, as an image or by a build; none before the first."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    change = """mutation ($input: UpdateFunctionInput!) {
      updateFunction(input: $input) { function { hasUndeployedChanges notInvocableReason } }
    }"""
    image = "mutation ($input: DeploySpinAppInput!) { deploySpinApp(input: $input) { deployment { id } } }"
    script.says("completed", result=IMAGE)
    script.deployed(ENDPOINT)

    async def changed(**given: Any) -> bool:
        answer = await gateway.data(change, input={"id": function_id} | given)
        return bool(answer["updateFunction"]["function"]["hasUndeployedChanges"])

    assert not await changed(memory=512)
    await gateway.data(image, input={"imageRef": "r.example/f:1", "functionId": function_id})
    assert [await changed(name="Other"), await changed(memory=256)] == [False, True]
    await follow(gateway, await deploy(gateway, function_id))
    assert [await changed(description="x"), await changed(environmentVariables=[])] == [False, True]


async def test_start_push_when_a_source_was_uploaded(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """It goes on from the earlier build's sourcePath; another workspace's is refused."""
    workspace_id, other = await gateway.create_workspace(), await gateway.create_workspace()
    script.says("running")
    answer = await gateway.upload(BUILD_AND_PUSH, "app.zip", a_zip(), workspaceId=workspace_id)
    path = answer["data"]["startBuildAndPush"]["build"]["sourcePath"]
    script.deploys.append(ACCEPTED)
    given = {"registryUrl": "r.example/app", "sourcePath": path}
    build = (await gateway.data(PUSH, input=given | {"workspaceId": workspace_id}))["startPush"]["build"]
    assert build == {"id": build["id"], "kind": "PUSH", "status": "PENDING", "sourcePath": path}
    error = await gateway.error(PUSH, input=given | {"workspaceId": other})
    assert codes(error) == ("VALIDATION_ERROR", "sourcePath", None)
    error = await gateway.error(PUSH, input=given | {"workspaceId": workspace_id, "username": "AWS"})
    assert codes(error) == ("VALIDATION_ERROR", "password", None)


async def test_scaffold_spin_app_when_it_fails(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """That it can't be made is an answer; a builder that crashes is BUILDER_ERROR."""
    script.deploys.append(
        (200, {"success": False, "yaml_content": None, "file_path": None, "error": "no such image"})
    )
    made = (await gateway.data(SCAFFOLD, input={"imageRef": "r/f:1"}))["scaffoldSpinApp"]
    assert made == {"success": False, "yamlContent": None, "filePath": None, "error": "no such image"}
    script.deploys[0] = (500, "Internal Server Error")
    assert codes(await gateway.error(SCAFFOLD, input={"imageRef": "r/f:1"}))[0] == "BUILDER_ERROR"


@pytest.mark.parametrize("filename", ["app.zip", "APP.ZIP", "app.txt"])
async def test_start_build_and_push_when_the_file_is_refused(
    gateway: LiveGateway, script: ScriptedBuilder, filename: str
) -> None:
    """VALIDATION_ERROR with the field, at once: no build is left, and the builder is not called."""
    workspace_id = await gateway.create_workspace()
    answer = await gateway.upload(BUILD_AND_PUSH, filename, b"no zip", workspaceId=workspace_id)
    (error,) = answer["errors"]
    assert codes(error) == ("VALIDATION_ERROR", "file", None)
    query = "query ($id: ID!) { workspace(id: $id) { builds { nodes { id } } } }"
    assert (await gateway.data(query, id=workspace_id))["workspace"]["builds"]["nodes"] == []
    assert script.calls == []


async def test_delete_function_when_it_is_deployed(gateway: LiveGateway, script: ScriptedBuilder) -> None:
    """Its build is cancelled, and never deploys."""
    function_id = await gateway.create_function(await gateway.create_workspace())
    script.says("running")
    build_id = await deploy(gateway, function_id)
    await gateway.data(DELETE, input={"id": function_id})
    assert (await follow(gateway, build_id, after=0))[-1]["status"] == "CANCELLED"
    assert script.bodies == []


@pytest.mark.parametrize("outcome", ["accepted", "refused", "failed"])
async def test_credentials_when_a_build_pushes(
    gateway: LiveGateway,
    script: ScriptedBuilder,
    aws_server: str,
    outcome: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """They go to the builder and nowhere else: not into the table, the bucket, the log or an answer."""
    caplog.set_level(logging.DEBUG)
    words = f"docker login -u AWS -p {SECRET}: denied"
    if outcome == "refused":
        script.upload = (500, words)
    script.says("failed" if outcome == "failed" else "completed", error=words, result=IMAGE)
    workspace_id = await gateway.create_workspace()
    answer = await gateway.upload(
        BUILD_AND_PUSH,
        "app.py",
        b"x = 1\n",
        workspaceId=workspace_id,
        registryUrl="r.example/app",
        username="AWS",
        password=SECRET,
    )
    shown = [answer]
    if outcome != "refused":
        build_id = answer["data"]["startBuildAndPush"]["build"]["id"]
        shown += await follow(gateway, build_id, after=0)
    assert script.forms[0]["password"] == SECRET
    everything = Contents(aws_server, gateway.settings).everything()
    assert workspace_id in repr(everything)
    for place in (everything, shown, [record.getMessage() for record in caplog.records], caplog.text):
        assert SECRET not in repr(place)
