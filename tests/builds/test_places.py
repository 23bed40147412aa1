"""Which function a SpinApp is of: no function takes over another's, and none leaves one behind unseen."""

import asyncio

import pytest

from gateway.errors import BuilderError, InvalidInputError, KubernetesError
from gateway.records.builder import DeployRequest
from gateway.records.builds import BuildStatus
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place
from gateway.services.places import PlaceChecks
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
SHOP = Place("default", "shop")
ENDPOINT = "shop.default.svc.cluster.local"


def an_image(function: FunctionRecord | None, app: str | None, namespace: str = "default") -> DeployRequest:
    """An image under a name."""
    function_id = None if function is None else function.id
    return DeployRequest(namespace=namespace, image_ref="r.example/shop:1", function_id=function_id, app_name=app)


async def refusal(call: object) -> tuple[str | None, dict[str, object] | None]:
    """Field and details of VALIDATION_ERROR."""
    with pytest.raises(InvalidInputError) as caught:
        await call  # type: ignore[misc]  # a coroutine
    return caught.value.field, caught.value.details


async def test_deploy_spin_app_when_the_name_is_another_functions(stage: Stage, script: ScriptedBuilder) -> None:
    """However it is spelled, and without a function too: VALIDATION_ERROR, and the builder is not called."""
    owner, other = await stage.create_function(), await stage.create_function()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(owner, "My Shop"))
    stage.clock.advance(seconds=1)
    await stage.deployments.deploy_spin_app(an_image(owner, "shop"))
    script.calls.clear()
    taken = {"functionId": owner.id}
    assert await refusal(stage.deployments.deploy_spin_app(an_image(other, "sh-op"))) == ("appName", taken)
    assert await refusal(stage.deployments.deploy_spin_app(an_image(other, "SHOP"))) == ("appName", taken)
    assert await refusal(stage.deployments.deploy_spin_app(an_image(None, "shop"))) == ("appName", taken)
    assert await refusal(stage.deployments.deploy_spin_app(an_image(None, None))) == ("appName", taken)
    assert script.calls == []
    script.deployed("shop.blue.svc.cluster.local", app_name="shop", namespace="blue")
    script.deploys.popleft()
    await stage.deployments.deploy_spin_app(an_image(other, "shop", "blue"))
    assert (await stage.function(owner.id)).namespace == "default"


async def test_deploy_spin_app_when_two_functions_take_one_name_at_once(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """One has it; the other is refused, with nothing of it deployed."""
    functions = [await stage.create_function() for _ in range(4)]
    script.deployed(ENDPOINT, app_name="shop")
    replicas = [stage, stage.replica("replica-2")] * 2
    outcomes = await asyncio.gather(
        *(
            replica.deployments.deploy_spin_app(an_image(function, "shop"))
            for replica, function in zip(replicas, functions, strict=True)
        ),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, InvalidInputError)]
    assert [error.field for error in refused] == ["appName"] * 3
    (body,) = script.bodies
    assert await stage.dynamo.places.owner_of(SHOP) == body["function_id"]


async def test_deploy_function_when_it_moves_to_another_functions_name(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """VALIDATION_ERROR names the namespace, as a deploy of an image to there does; nothing is stored."""
    owner, other = await stage.create_function(), await stage.create_function()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(owner, "shop"))
    script.deploys.clear()
    script.deployed("shop.blue.svc.cluster.local", app_name="shop", namespace="blue")
    await stage.deployments.deploy_spin_app(an_image(other, "shop", "blue"))
    script.calls.clear()
    taken = {"functionId": other.id}
    move = stage.deployments.deploy_function(owner.id, namespace="blue")
    assert await refusal(move) == ("namespace", taken)
    assert await refusal(stage.deployments.deploy_spin_app(an_image(owner, None, "blue"))) == ("namespace", taken)
    assert script.calls == []
    assert (await stage.function(owner.id)).active_build_id is None


async def test_check_when_the_former_backend_deployed_it(stage: Stage) -> None:
    """Without a claim the SpinApp's label says whose it is; a function that is gone has none; no API, no owner."""
    owner, other = await stage.create_function(), await stage.create_function()
    labels = {"shop": owner.id, "left": "fn-none0000"}

    async def labelled(_: str, app: str) -> str | None:
        return labels.get(app)

    async def down(_: str, __: str) -> str | None:
        raise KubernetesError("no answer", retryable=True)

    checks = PlaceChecks(stage.dynamo, labelled)
    assert await refusal(checks.check(other, SHOP, field="appName")) == ("appName", {"functionId": owner.id})
    await checks.check(owner, SHOP, field="appName")
    await checks.check(other, Place("default", "left"), field="appName")
    await checks.check(other, Place("default", "new"), field="appName")
    await PlaceChecks(stage.dynamo, down).check(other, SHOP, field="appName")


async def test_deploy_spin_app_when_the_owner_is_gone(stage: Stage, script: ScriptedBuilder) -> None:
    """A claim that a crash has left of a deleted function counts no more."""
    owner, other = await stage.create_function(), await stage.create_function()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(owner, "shop"))
    await stage.dynamo.functions.delete(stage.workspace_id, owner.id)
    assert await stage.dynamo.places.owner_of(SHOP) == owner.id
    await stage.deployments.deploy_spin_app(an_image(other, "shop"))
    assert await stage.dynamo.places.owner_of(SHOP) == other.id


async def test_deploy_function_when_two_shared_a_spinapp_before(stage: Stage, script: ScriptedBuilder) -> None:
    """The first to be deployed again keeps it; the other one gets one of its own, and leaves it alone."""
    first, second = await stage.create_function(name="Shop"), await stage.create_function(name="shop")
    url = {"invocationUrl": f"http://{ENDPOINT}"}
    for function in (first, second):
        await stage.dynamo.functions.update(stage.workspace_id, function.id, changes=url)
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deployed(ENDPOINT, app_name=None)
    build = await stage.deployments.deploy_function(first.id, namespace="default")
    assert build.app_name == "shop"
    await stage.rounds(3)
    build = await stage.deployments.deploy_function(second.id, namespace="default")
    assert build.app_name == "shop" + second.id.replace("-", "")
    await stage.rounds(3)
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    assert stage.deleted_apps == []


async def test_deploy_spin_app_when_the_builder_refuses_a_new_name(stage: Stage, script: ScriptedBuilder) -> None:
    """What it may have made is deleted, and the name is free for others; the function is where it was."""
    function, other = await stage.create_function(), await stage.create_function()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(function, "shop"))
    script.deploys.clear()
    script.deploys.append((500, "no"))
    for app in ("new", "shop"):
        with pytest.raises(BuilderError):
            await stage.deployments.deploy_spin_app(an_image(function, app))
    assert stage.deleted_apps == [("default", "new")]
    assert await stage.dynamo.places.owner_of(Place("default", "new")) is None
    assert await stage.dynamo.places.owner_of(SHOP) == function.id
    script.deploys.clear()
    script.deployed("new.default.svc.cluster.local", app_name="new")
    await stage.deployments.deploy_spin_app(an_image(other, "new"))


async def test_deploy_spin_app_when_the_builder_does_not_answer(stage: Stage, script: ScriptedBuilder) -> None:
    """A builder that is gone says nothing of the deploy: the function is free at once."""
    function = await stage.create_function()
    script.deploys.append((503, "busy"))
    with pytest.raises(BuilderError):
        await stage.deployments.deploy_spin_app(an_image(function, "shop"))
    assert await stage.dynamo.image_deploys.list_unfinished() == []
    script.deploys.clear()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(function, "shop"))


async def moving(stage: Stage, script: ScriptedBuilder) -> tuple[FunctionRecord, str]:
    """A function that runs as default/shop, and a build that moves it to blue, in DEPLOYING."""
    function = await stage.create_function()
    script.deployed(ENDPOINT, app_name="shop")
    await stage.deployments.deploy_spin_app(an_image(function, "shop"))
    stage.clock.advance(seconds=1)
    script.says("completed", result={"image_uri": "r.example/f:2"})
    script.deploys.clear()
    script.deploys.append((503, "busy"))
    build = await stage.deployments.deploy_function(function.id, namespace="blue")
    await stage.rounds(2)
    return function, build.id


async def test_deploy_function_when_a_move_times_out(stage: Stage, script: ScriptedBuilder) -> None:
    """The error says what may come up and where; it is deleted now, and again by the function's next deploy."""
    function, build_id = await moving(stage, script)
    stage.clock.advance(seconds=600)
    await stage.leases.renew_due()
    after = stage.restarted()
    await after.lookout.look()
    await after.rounds(1)
    failed = await stage.build(build_id)
    assert failed.error == (
        "timed out after 10 minutes; the SpinApp shop in blue may come up all the same, and goes with the "
        "function's next deploy"
    )
    assert after.deleted_apps == [("blue", "shop")]
    assert (await stage.function(function.id)).namespace == "default"
    script.deploys.clear()
    script.deployed(ENDPOINT, app_name="shop")
    build = await after.deployments.deploy_function(function.id, namespace="default")
    await after.rounds(4)
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    assert after.deleted_apps == [("blue", "shop")] * 2
    assert await stage.dynamo.places.list_of_function(function.id) == {SHOP: True}
    assert await stage.dynamo.places.owner_of(Place("blue", "shop")) is None


async def test_deploy_function_when_it_is_deleted_and_the_builder_does_not_answer(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """The SpinApp that the unanswered call may have made goes with the build's end."""
    function = await stage.create_function()
    script.says("completed", result={"image_uri": "r.example/f:1"})
    script.deploys.append((503, "busy"))
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    await stage.rounds(2)
    script.released = asyncio.Event()
    calls = script.calls.count("POST /api/v1/deploy")
    step = asyncio.create_task(stage.round())

    async def called() -> bool:
        return script.calls.count("POST /api/v1/deploy") > calls

    await eventually(called)
    await stage.dynamo.functions.delete(stage.workspace_id, function.id)
    script.released.set()
    await step
    assert (await stage.build(build.id)).status is BuildStatus.FAILED
    assert stage.deleted_apps == [("default", build.app_name)]
    assert await stage.dynamo.places.list_of_function(function.id) == {}
