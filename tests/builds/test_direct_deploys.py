"""deploySpinApp: an image that is there already, with a function or without."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from gateway.errors import BuilderError, ConflictError, InvalidInputError, NotFoundError
from gateway.records.builder import DeployRequest
from gateway.records.builds import DeploymentRecord
from gateway.records.functions import FunctionRecord
from gateway.upstream.http import open_http_client
from tests.builds.samples import eventually
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
IMAGE = "r.example/f:1"


async def stored(stage: Stage, function: FunctionRecord) -> list[DeploymentRecord]:
    """The function's deployments."""
    page = await stage.dynamo.deployments.list_of_function(stage.workspace_id, function.id, first=9, after=None)
    return list(page.items)


async def test_deploy_spin_app_when_no_function_is_named(stage: Stage, script: ScriptedBuilder) -> None:
    """Nothing is stored or sought, and the id says where it runs."""
    script.deployed(app_name="shop")
    request = DeployRequest(namespace="default", image_ref=IMAGE, app_name="My Shop", replicas=3)
    deployment = await stage.deployments.deploy_spin_app(request)
    assert (deployment.id, deployment.endpoint, deployment.service_status) == ("default/shop", None, "not_found")
    assert script.bodies == [
        {
            "namespace": "default",
            "image_ref": IMAGE,
            "app_name": "My Shop",
            "enable_autoscaling": True,
            "use_spot": True,
        }
    ]
    searching = asyncio.create_task(stage.endpoints.run())
    await asyncio.sleep(0.1)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert len(script.bodies) == 1


async def test_deploy_spin_app_when_the_endpoint_is_there(stage: Stage, script: ScriptedBuilder) -> None:
    """It is the function's at once, which keeps the answered name."""
    function = await stage.create_function()
    script.deployed("shop.default.svc.cluster.local", app_name="shop")
    request = DeployRequest(
        namespace="default", image_ref=IMAGE, function_id=function.id, enable_autoscaling=False, replicas=3
    )
    deployment = await stage.deployments.deploy_spin_app(request)
    assert script.bodies[0]["replicas"] == 3
    assert await stored(stage, function) == [deployment]
    after = await stage.function(function.id)
    assert (after.app_name, after.namespace, after.current_deployment_id) == ("shop", "default", deployment.id)
    assert after.invocation_url == "http://shop.default.svc.cluster.local"
    assert after.last_deployed == deployment.deployed_at


async def test_deploy_spin_app_when_the_endpoint_comes_later(stage: Stage, script: ScriptedBuilder) -> None:
    """The answer has none; it is sought with the answered name, past a builder's fault, and then stored."""
    function = await stage.create_function()
    script.deployed(app_name="shop")
    script.deploys.append((503, "busy"))
    script.deployed(app_name="shop")
    script.deployed("shop.default.svc.cluster.local", app_name="shop")
    searching = asyncio.create_task(stage.endpoints.run())
    request = DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
    assert (await stage.deployments.deploy_spin_app(request)).endpoint is None

    async def has_url() -> bool:
        return (await stage.function(function.id)).invocation_url is not None

    await eventually(has_url)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    (deployment,) = await stored(stage, function)
    assert (deployment.endpoint, deployment.service_status) == ("shop.default.svc.cluster.local", "found")
    after = await stage.function(function.id)
    assert after.invocation_url == "http://shop.default.svc.cluster.local"
    assert [body["app_name"] for body in script.bodies][1:] == ["shop"] * 3


async def test_deploy_spin_app_when_another_deploy_follows(stage: Stage, script: ScriptedBuilder) -> None:
    """The search ends: asking on would deploy the earlier image again."""
    function = await stage.create_function()
    script.deployed()
    request = DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
    await stage.deployments.deploy_spin_app(request)
    stage.clock.advance(seconds=1)
    await stage.deployments.deploy_function(function.id, namespace="default")
    searching = asyncio.create_task(stage.endpoints.run())
    await asyncio.sleep(0.2)
    searching.cancel()
    await asyncio.gather(searching, return_exceptions=True)
    assert len(script.bodies) == 1


async def test_deploy_spin_app_when_a_build_deploys_the_function(stage: Stage, script: ScriptedBuilder) -> None:
    """CONFLICT with the build's id; the builder is not called."""
    function = await stage.create_function()
    build = await stage.deployments.deploy_function(function.id, namespace="default")
    with pytest.raises(ConflictError) as caught:
        await stage.deployments.deploy_spin_app(
            DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
        )
    assert caught.value.details == {"buildId": build.id}
    assert script.calls == []


async def test_deploy_spin_app_when_the_builder_refuses(stage: Stage, script: ScriptedBuilder) -> None:
    """Its words are raised, and nothing is stored."""
    function = await stage.create_function()
    script.deploys.append((400, {"detail": "Namespace 'default' not found"}))
    with pytest.raises(BuilderError, match="Namespace 'default' not found"):
        await stage.deployments.deploy_spin_app(
            DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
        )
    assert await stored(stage, function) == []


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 422 No\r\ncontent-length: 33\r\n\r\n{"detail":[{"loc":null,"msg":1}]}',
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
    ],
)
async def test_deploy_spin_app_when_garbage_is_answered(
    stage: Stage, script: ScriptedBuilder, answer: bytes
) -> None:
    """It is the builder's error, and the function can be deployed at once."""
    function = await stage.create_function()
    request = DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        stage.client.base_url = f"http://{host}:{port}"
        with pytest.raises(BuilderError):
            await stage.deployments.deploy_spin_app(request)
    stage.client.base_url = script.url
    script.deployed("shop.default.svc.cluster.local")
    assert (await stage.deployments.deploy_spin_app(request)).endpoint is not None


async def test_deploy_when_the_call_breaks_unexpectedly(stage: Stage, script: ScriptedBuilder) -> None:
    """A defect on the way does not bar the function either."""

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise ArithmeticError(request.url.path)

    function = await stage.create_function()
    request = DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
    async with open_http_client("builder", script.url, transport=Broken()) as client:
        with pytest.raises(ArithmeticError):
            await stage.replica("replica-2", client=client).deployments.deploy_spin_app(request)
    script.deployed("shop.default.svc.cluster.local")
    assert (await stage.deployments.deploy_spin_app(request)).endpoint is not None


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("namespace", {"namespace": "kube-system"}),
        ("imageRef", {"image_ref": ""}),
        ("imageRef", {"image_ref": "a b"}),
        ("appName", {"app_name": "-"}),
        ("functionId", {"function_id": "ws-12345678"}),
        ("replicas", {"replicas": 101}),
        ("cpuLimit", {"cpu_limit": "1 core"}),
        ("serviceAccount", {"service_account": "Default"}),
        ("customTolerations", {"custom_tolerations": {"key": "x"}}),
        ("customAffinity", {"custom_affinity": []}),
    ],
)
async def test_deploy_spin_app_when_the_input_is_wrong(
    stage: Stage, script: ScriptedBuilder, field: str, changes: dict[str, object]
) -> None:
    """VALIDATION_ERROR names the field, and the builder is not called."""
    request = DeployRequest(**({"namespace": "default", "image_ref": IMAGE} | changes))  # type: ignore[arg-type]  # wrong values
    with pytest.raises(InvalidInputError) as caught:
        await stage.deployments.deploy_spin_app(request)
    assert caught.value.field == field
    assert script.calls == []


async def test_deploy_spin_app_when_the_function_is_missing(stage: Stage, script: ScriptedBuilder) -> None:
    """NOT_FOUND before anything is deployed."""
    with pytest.raises(NotFoundError):
        await stage.deployments.deploy_spin_app(
            DeployRequest(namespace="default", image_ref=IMAGE, function_id="fn-none0000")
        )
    assert script.calls == []


async def test_list_of_function_when_there_are_many_deployments(stage: Stage, script: ScriptedBuilder) -> None:
    """Newest first, page after page, each once."""
    function = await stage.create_function()
    script.deployed("shop.default.svc.cluster.local")
    for _ in range(5):
        await stage.deployments.deploy_spin_app(
            DeployRequest(namespace="default", image_ref=IMAGE, function_id=function.id)
        )
        stage.clock.now += timedelta(microseconds=1)
    after, more, seen = None, True, []
    while more:
        page = await stage.dynamo.deployments.list_of_function(
            stage.workspace_id, function.id, first=2, after=after
        )
        seen += [item.id for item in page.items]
        after, more = page.positions[-1], page.has_next
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 5
