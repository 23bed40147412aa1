"""deploySpinApp on two replicas at once, and after its replica has died or drained: real processes."""

import asyncio
import signal
from typing import Any

import httpx
import pytest

from gateway.upstream.dynamo.holds import HOLD_S
from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import Platform, Replica
from tests.builds.samples import eventually

DEPLOY_IMAGE = "mutation ($input: DeploySpinAppInput!) { deploySpinApp(input: $input) { deployment { id } } }"
FUNCTION = """query ($id: ID!) {
  function(id: $id) { status invocationUrl deployments { nodes { id imageUrl isCurrent endpoint } } }
}"""


def an_image(function_id: str, tag: str) -> dict[str, str]:
    """An image of a function, as `shop`."""
    return {"imageRef": f"r.example/shop:{tag}", "functionId": function_id, "appName": "shop"}


async def function_of(replica: Replica, function_id: str) -> Any:
    """A function with its deployments."""
    return (await replica.data(FUNCTION, id=function_id))["function"]


async def until_deployed(replica: Replica, function_id: str) -> Any:
    """The function as soon as it has an address."""
    found: dict[str, Any] = {}

    async def has_url() -> bool:
        found.update(await function_of(replica, function_id))
        return found["invocationUrl"] is not None

    await eventually(has_url, seconds=20)
    return found


async def test_deploy_spin_app_when_two_replicas_are_asked(shared: Platform, builder: PacedBuilder) -> None:
    """One of them deploys, the other names what runs; two functions can't be one app either."""
    one, other = await shared.replicas("one", "other")
    workspace_id = await one.create_workspace()
    function_id = await one.create_function(workspace_id, "shop")
    held = builder.hold("deploy", "shop")
    calls = [
        asyncio.create_task(replica.answer(DEPLOY_IMAGE, input=an_image(function_id, tag)))
        for replica, tag in ((one, "1"), (other, "2"), (one, "3"), (other, "4"))
    ]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)

    async def refused() -> bool:
        return sum(call.done() for call in calls) == 3

    await eventually(refused)
    held.set()
    answers = await asyncio.gather(*calls)
    errors = [answer["errors"][0]["extensions"] for answer in answers if "errors" in answer]
    function = await until_deployed(one, function_id)
    (deployment,) = function["deployments"]["nodes"]
    assert [error["code"] for error in errors] == ["CONFLICT"] * 3
    assert {error["details"]["imageRef"] for error in errors} == {deployment["imageUrl"]}
    assert builder.deploys == ["shop"]
    second = await other.create_function(workspace_id, "second")
    error = await other.error(DEPLOY_IMAGE, input=an_image(second, "5"))
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "appName")


async def test_deploy_spin_app_when_its_replica_is_killed(shared: Platform, builder: PacedBuilder) -> None:
    """Between /deploy and the write: the function is barred until the builder is done, then another finishes it.

    The other's clock is ahead by what would have to be waited for.
    """
    owner, other = await shared.replicas("owner", "other")
    function_id = await owner.create_function(await owner.create_workspace(), "shop")
    held = builder.hold("deploy", "shop")
    calling = asyncio.create_task(owner.answer(DEPLOY_IMAGE, input=an_image(function_id, "1")))

    async def asked() -> bool:
        return builder.deploys == ["shop"]

    await eventually(asked)
    owner.kill()
    with pytest.raises(httpx.TransportError):
        await calling
    held.set()
    error = await other.error(DEPLOY_IMAGE, input=an_image(function_id, "2"))
    assert error["extensions"]["details"]["imageRef"] == "r.example/shop:1"
    assert (await function_of(other, function_id))["deployments"]["nodes"] == []
    later = await shared.replica("later", skew_s=HOLD_S + 10)
    function = await until_deployed(later, function_id)
    (deployment,) = function["deployments"]["nodes"]
    assert deployment == {
        "id": deployment["id"],
        "imageUrl": "r.example/shop:1",
        "isCurrent": True,
        "endpoint": "shop.default.svc.cluster.local",
    }
    assert builder.deploys == ["shop", "shop"]
    await later.data(DEPLOY_IMAGE, input=an_image(function_id, "2"))
    nodes = (await function_of(other, function_id))["deployments"]["nodes"]
    assert [node["imageUrl"] for node in nodes] == ["r.example/shop:2", "r.example/shop:1"]


async def test_deploy_spin_app_when_its_replica_drains(shared: Platform, builder: PacedBuilder) -> None:
    """It is stopped in the middle of the call: the call is answered first, and stored."""
    owner, other = await shared.replicas("owner", "other")
    function_id = await owner.create_function(await owner.create_workspace(), "shop")
    held = builder.hold("deploy", "shop")
    calling = asyncio.create_task(owner.answer(DEPLOY_IMAGE, input=an_image(function_id, "1")))

    async def asked() -> bool:
        return builder.deploys == ["shop"]

    await eventually(asked)
    owner.served.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    held.set()
    answer = await calling
    assert "errors" not in answer
    assert await owner.stopped() == 0
    function = await until_deployed(other, function_id)
    assert [node["id"] for node in function["deployments"]["nodes"]] == [
        answer["data"]["deploySpinApp"]["deployment"]["id"]
    ]
