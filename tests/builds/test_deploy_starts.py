"""What a deploy starts with: names, refusals, and the one that may be under way."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import ConflictError, InvalidInputError, NotFoundError
from gateway.records.builder import DeployRequest
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
        "cpuRequest": {"cpu_request": "501m", "cpu_limit": "0.5"},
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


@pytest.mark.parametrize(
    ("field", "request_", "limit"),
    [
        ("cpuRequest", "1", "999m"),
        ("cpuRequest", "0.501", "500m"),
        ("cpuRequest", "2", "1.999"),
        ("memoryRequest", "1Gi", "1G"),
        ("memoryRequest", "129Mi", "128Mi"),
        ("memoryRequest", "1.5Ki", "1535"),
        ("memoryRequest", "1k", "999"),
    ],
)
async def test_deploy_when_more_is_requested_than_allowed(
    stage: Stage, script: ScriptedBuilder, field: str, request_: str, limit: str
) -> None:
    """VALIDATION_ERROR names the request, for functions and for images; nothing is called."""
    function = await stage.create_function()
    resource = field.removesuffix("Request")
    too_much: dict[str, Any] = {f"{resource}_request": request_, f"{resource}_limit": limit}
    image = DeployRequest(namespace="default", image_ref="r.example/f:1", function_id=function.id)
    for call in (
        stage.deployments.deploy_function(function.id, namespace="default", **too_much),
        stage.deployments.deploy_spin_app(replace(image, **too_much)),
    ):
        with pytest.raises(InvalidInputError) as caught:
            await call
        assert caught.value.field == field
        assert caught.value.message == f"{field} must be at most {resource}Limit, {limit}; it is {request_}."
    assert script.calls == []


async def test_deploy_function_when_more_is_requested_than_its_memory(stage: Stage) -> None:
    """The function's memory is the limit where none is given."""
    function = await stage.create_function()
    with pytest.raises(InvalidInputError, match="memoryRequest must be at most memoryLimit, 256Mi; it is 257Mi"):
        await stage.deployments.deploy_function(function.id, namespace="default", memory_request="257Mi")
    await stage.deployments.deploy_function(function.id, namespace="default", memory_request="256Mi")


@pytest.mark.parametrize(
    ("resource", "request_", "limit"),
    [("cpu", "1", "1000m"), ("cpu", "0.25", "250m"), ("memory", "1T", "1000000M"), ("memory", "1Ti", "1024Gi")],
)
async def test_deploy_function_when_as_much_is_requested_as_allowed(
    stage: Stage, resource: str, request_: str, limit: str
) -> None:
    """It is accepted, however the two are written."""
    function = await stage.create_function()
    given: dict[str, Any] = {f"{resource}_request": request_, f"{resource}_limit": limit}
    build = await stage.deployments.deploy_function(function.id, namespace="default", **given)
    assert build.deploy is not None
