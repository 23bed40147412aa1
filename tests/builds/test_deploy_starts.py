"""What a deploy starts with: names, refusals, and the one that may be under way."""

from typing import Any

import pytest

from gateway.errors import ConflictError, InvalidInputError, NotFoundError
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_deploy_function_when_it_was_deployed_before(stage: Stage, script: ScriptedBuilder) -> None:
    """It keeps its app name, under a new name of its own too, and so does one that the former backend deployed."""
    first = await stage.create_function(app_name="kept", namespace="default")
    former = await stage.create_function(name="He-llo")
    url = {"invocationUrl": "http://hello.default.svc.cluster.local"}
    await stage.dynamo.functions.update(stage.workspace_id, former.id, changes=url)
    await stage.dynamo.functions.update(stage.workspace_id, first.id, changes={"app_name": "kept", "name": "New"})
    for function, expected in ((first, "kept"), (former, "hello")):
        build = await stage.deployments.deploy_function(function.id, namespace="default")
        assert build.app_name == expected
    assert script.calls == []


async def test_deploy_function_when_one_is_under_way(stage: Stage) -> None:
    """CONFLICT with the running build's id, and nothing of the second is stored."""
    function = await stage.create_function()
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    with pytest.raises(ConflictError) as caught:
        await stage.deployments.deploy_function(function.id, namespace="default")
    assert caught.value.details == {"buildId": build.id}
    page = await stage.dynamo.builds.list_of_function(function.id, first=5, after=None)
    assert [item.id for item in page.items] == [build.id]


async def test_deploy_function_when_the_input_is_wrong(stage: Stage, script: ScriptedBuilder) -> None:
    """VALIDATION_ERROR names the field; nothing is stored or called."""
    function = await stage.create_function()
    wrong: dict[str, dict[str, Any]] = {
        "namespace": {"namespace": "kube-system"},
        "replicas": {"replicas": 0},
        "cpuLimit": {"cpu_limit": "lots"},
        "memoryRequest": {"memory_request": "12 apples"},
    }
    for field, changes in wrong.items():
        with pytest.raises(InvalidInputError) as caught:
            await stage.deployments.deploy_function(function.id, **{"namespace": "default", **changes})
        assert caught.value.field == field
    with pytest.raises(InvalidInputError):
        await stage.deployments.deploy_function("../../other", namespace="default")
    with pytest.raises(NotFoundError):
        await stage.deployments.deploy_function("fn-none0000", namespace="default")
    assert (await stage.function(function.id)).latest_build_id is None
    assert script.calls == []
