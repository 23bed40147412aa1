"""A build that many watch: what an event reads upstream is read once for all who asked for the same."""

from collections import Counter
from contextlib import AsyncExitStack

from tests.aws_proxy import aws_proxy
from tests.builds.live import LiveGateway, live_gateway
from tests.builds.script import ScriptedBuilder
from tests.gateway import SOURCE
from tests.stores import prepared_settings

START = "mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id } } }"
PROGRESS = """subscription ($id: ID!, $after: Int) {
  buildProgress(id: $id, after: $after) { sequence build { workspace { name } } }
}"""
STATUS = "subscription ($id: ID!) { buildProgress(id: $id) { status } }"
WATCHERS = 5


async def start(gateway: LiveGateway) -> str:
    """The id of a build that is under way."""
    workspace_id = await gateway.create_workspace("Watched")
    answer = await gateway.upload(START, "app.py", SOURCE, workspaceId=workspace_id)
    id_: str = answer["data"]["startBuild"]["build"]["id"]
    return id_


async def test_build_progress_when_many_watch(aws_server: str, script: ScriptedBuilder) -> None:
    """About one read for each change, not one for each watcher; one who asked for less reads nothing."""
    script.says("pending")
    settings = await prepared_settings(aws_server)
    async with aws_proxy(aws_server) as proxy, AsyncExitStack() as stack:
        told = {"builder_service_url": script.url, "build_poll_interval_s": 0.05}
        settings = settings.model_copy(update={"aws_endpoint_url_dynamodb": proxy.url})
        gateway = await stack.enter_async_context(live_gateway(settings, **told))
        build_id = await start(gateway)
        watching = [
            await stack.enter_async_context(gateway.events(PROGRESS, id=build_id, after=None if number % 2 else 0))
            for number in range(WATCHERS)
        ]
        first = [await anext(results) for results in watching]
        assert [result["data"]["buildProgress"]["sequence"] for result in first] == [1] * WATCHERS
        other = await stack.enter_async_context(gateway.events(STATUS, id=build_id))
        assert (await anext(other))["data"] == {"buildProgress": {"status": "PENDING"}}
        proxy.reset()
        script.tasks.clear()
        script.says("completed", result={"wasm_path": "s3://b/app.wasm"})
        expected = {"data": {"buildProgress": {"sequence": 2, "build": {"workspace": {"name": "Watched"}}}}}
        assert [await anext(results) for results in watching] == [expected] * WATCHERS
        rest = [[result["data"]["buildProgress"]["sequence"] async for result in results] for results in watching]
        assert rest == [[3]] * WATCHERS
        assert [result["data"]["buildProgress"]["status"] async for result in other] == ["BUILDING", "DONE"]
    reads = Counter(name for name in proxy.operations if name.endswith("GetItem"))
    # Who is still busy with the event before when the next one comes gets it a moment later, by another read.
    assert (list(reads), reads["dynamodb BatchGetItem"] in range(2, 5)) == (["dynamodb BatchGetItem"], True)
