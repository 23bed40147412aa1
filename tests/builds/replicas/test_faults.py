"""Builds go on when the builder or DynamoDB does not: real processes, and errors as these systems give them."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import POLL_S, Platform
from tests.local.builder.stage import serving

SLOW_S = 30
"""What a slow builder takes for an answer."""
DOWN_S = 60 * POLL_S / 5
"""A minute, where builds are polled every 5 s."""


def garbage() -> Response:
    """No JSON."""
    return PlainTextResponse("<html>Bad gateway</html>")


def crash() -> Response:
    """What a FastAPI service says when it breaks."""
    return PlainTextResponse("Internal Server Error", 500)


def throttled() -> Response:
    """Too many requests."""
    return JSONResponse({"detail": "slow down"}, 429)


def truncated() -> Response:
    """An answer that was cut: less than its length says, so that the connection ends in the middle."""
    return Response(b'{"task_id": "t", "sta', headers={"content-length": "500"}, media_type="application/json")


FAULTS: dict[str, Callable[[], Response]] = {
    "garbage": garbage,
    "crash": crash,
    "throttled": throttled,
    "truncated": truncated,
}


async def test_build_when_the_builder_misbehaves(shared: Platform, builder: PacedBuilder) -> None:
    """Every build is finished once the builder is well again, and each is deployed once."""
    replica = await shared.replica("replica")
    workspace_id = await replica.create_workspace()
    names = [*FAULTS, "slow", "down"]
    builder.default = "pending"
    builds = dict(
        zip(names, await asyncio.gather(*(replica.deploy(workspace_id, name) for name in names)), strict=True)
    )
    broken: Counter[str] = Counter()

    async def fault(request: Request) -> Response | None:
        app = builder.apps.get(request.url.path.rsplit("/", 1)[-1], "")
        name = next((name for name in names if app.startswith(name)), "")
        broken[name] += 1
        if name == "slow" and broken[name] == 1:
            await asyncio.sleep(SLOW_S)
        return FAULTS[name]() if name in FAULTS and broken[name] <= 2 else None

    await replica.until(builds["down"], "PENDING")
    builder.fault = fault
    builder.default = "building"
    for name in FAULTS:
        await replica.until(builds[name], "BUILDING")
        assert broken[name] >= 3, name
    await builder.stop()
    await asyncio.sleep(DOWN_S)
    assert (await replica.build(builds["down"]))["status"] == "BUILDING"
    builder.default = "done"
    await builder.start()
    for name in names:
        done = await replica.until(builds[name], "DONE", seconds=25)
        assert (done["sequence"], len(done["function"]["deployments"]["nodes"])) == (5, 1), name
    assert len(builder.deploys) == len(names)
    assert broken["slow"] > 1


async def test_deploy_when_the_builder_misbehaves(shared: Platform, builder: PacedBuilder) -> None:
    """What deploys is asked for again where the builder may not have done it; what it refused is over."""
    replica = await shared.replica("replica")
    workspace_id = await replica.create_workspace()
    broken: Counter[str] = Counter()

    async def fault(request: Request) -> Response | None:
        if not request.url.path.endswith("/deploy"):
            return None
        app = json.loads(await request.body())["app_name"]
        name = next(name for name in FAULTS if app.startswith(name))
        broken[name] += 1
        return FAULTS[name]() if broken[name] <= 2 else None

    builder.fault = fault
    builds = {name: await replica.deploy(workspace_id, name) for name in FAULTS}
    ended = {name: await replica.until(build_id, "DONE", "FAILED") for name, build_id in builds.items()}
    assert {name: build["status"] for name, build in ended.items()} == dict.fromkeys(FAULTS, "DONE") | {
        "crash": "FAILED"
    }
    assert ended["crash"]["error"] == "The Builder Service answered 500: Internal Server Error"
    assert {
        name: len(build["function"]["deployments"]["nodes"]) for name, build in ended.items()
    } == dict.fromkeys(FAULTS, 1) | {"crash": 0}
    assert broken == dict.fromkeys(FAULTS, 3) | {"crash": 1}
    assert len(builder.uploads) == len(FAULTS)


@pytest.mark.ci
async def test_build_when_the_builder_is_slow_and_away_for_a_minute(
    shared: Platform, builder: PacedBuilder
) -> None:
    """At full length: 30 s for the upload's answer, a minute without a builder, 30 s for the deploy's answer.

    The replica that carries the build keeps its lease of 5 s all the while: the other one does nothing.
    """
    owner, other = await shared.replicas("owner", "other", told={"BUILD_POLL_INTERVAL_S": "5"})
    builder.default = "building"
    upload, deploy = builder.hold("upload", "hello"), builder.hold("deploy", "hello")
    build_id = await owner.deploy(await owner.create_workspace(), "hello")
    first = await shared.owner_of(build_id)
    await asyncio.sleep(SLOW_S)
    upload.set()
    await other.until(build_id, "BUILDING")
    await builder.stop()
    await asyncio.sleep(60)
    assert (await other.build(build_id))["status"] == "BUILDING"
    builder.default = "done"
    await builder.start()
    await other.until(build_id, "DEPLOYING", seconds=40)
    await asyncio.sleep(SLOW_S)
    assert await shared.owner_of(build_id) == first
    deploy.set()
    done = await other.until(build_id, "DONE")
    assert (done["sequence"], len(done["function"]["deployments"]["nodes"])) == (5, 1)
    assert (len(builder.uploads), len(builder.deploys)) == (1, 1)


@dataclass
class BrokenDynamo:
    """A proxy in front of DynamoDB that answers some calls with an error of its kind."""

    target: str
    client: httpx.AsyncClient
    rate: float = 0.0
    """Part of the calls that fail: throttled, broken, or broken after they were done all the same."""
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    failed: Counter[str] = field(default_factory=Counter)

    async def answer(self, request: Request) -> Response:
        """Any call."""
        fails = self.chance.random() < self.rate
        kind = self.chance.choice(["throttled", "broken", "done"]) if fails else ""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if kind in {"", "done"}:
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            url = f"{self.target}{request.url.path}"
            answer = await self.client.request(request.method, url, content=await request.body(), headers=headers)
            if not kind:
                kept = {
                    name: value
                    for name, value in answer.headers.items()
                    if name.startswith(("x-amz", "content-ty"))
                }
                return Response(answer.content, answer.status_code, kept)
        self.failed[f"{kind} {operation}"] += 1
        if kind == "throttled":
            return _error(400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException")
        return _error(500, "com.amazonaws.dynamodb.v20120810#InternalServerError")


def _error(status: int, kind: str) -> Response:
    body = json.dumps({"__type": kind, "message": "not now"}).encode()
    return Response(body, status, media_type="application/x-amz-json-1.0")


@asynccontextmanager
async def broken_dynamo(target: str) -> AsyncIterator[tuple[BrokenDynamo, str]]:
    """Serve one; its URL."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        proxy = BrokenDynamo(target, client)
        app = Starlette(routes=[Route("/{path:path}", proxy.answer, methods=["GET", "POST"])])
        async with serving(app) as url:
            yield proxy, url


async def test_build_when_dynamodb_misbehaves(shared: Platform, builder: PacedBuilder) -> None:
    """Throttled, broken, and broken after the write was made: every change is made once, in order."""
    async with broken_dynamo(shared.settings.aws_endpoint_url or "") as (dynamo, url):
        replica = await shared.replica("replica", told={"AWS_ENDPOINT_URL_DYNAMODB": url})
        workspace_id = await replica.create_workspace()
        builder.default = "pending"
        names = [f"fn{letter}" for letter in "abcdef"]
        builds = await asyncio.gather(*(replica.deploy(workspace_id, name) for name in names))
        dynamo.rate = 0.4
        for phase in ("building", "pushing", "done"):
            await asyncio.sleep(1)
            builder.default = phase
        await asyncio.sleep(2)
        dynamo.rate = 1.0
        await asyncio.sleep(2)
        dynamo.rate = 0.0
        for build_id in builds:
            done = await replica.until(build_id, "DONE", seconds=20)
            assert (done["sequence"], len(done["function"]["deployments"]["nodes"])) == (5, 1)
            assert done["function"]["status"] == "ACTIVE"
        operations = {name.partition(" ")[2] for name in dynamo.failed}
        assert {"TransactWriteItems", "Query"} <= operations
        assert {name.partition(" ")[0] for name in dynamo.failed} == {"throttled", "broken", "done"}
