"""What becomes of builds when the replica that hands them to the builder is killed in the middle of that."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import DEPLOY, Platform, Replica
from tests.builds.samples import eventually
from tests.local.builder.stage import serving

LARGE = 20_000_000
"""More than sockets take while nobody reads."""
START = """mutation ($input: StartBuildInput!) { startBuild(input: $input) { build { id } } }"""
START_AND_PUSH = (
    """mutation ($input: StartBuildAndPushInput!) { startBuildAndPush(input: $input) { build { id } } }"""
)


@asynccontextmanager
async def held_s3(target: str, held: set[str]) -> AsyncIterator[str]:
    """A way to S3 on which objects whose keys have one of these parts are never read to anybody; its URL."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

        async def answer(request: Request) -> Response:
            if request.method == "GET" and any(part in request.url.path for part in held):
                await asyncio.Event().wait()
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            url = f"{target}{request.url.path}?{request.url.query}"
            passed = await client.request(request.method, url, content=await request.body(), headers=headers)
            kept = {
                name: value for name, value in passed.headers.items() if name.startswith(("etag", "content-t"))
            }
            return Response(passed.content, passed.status_code, kept)

        app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "POST", "HEAD", "DELETE"])])
        async with serving(app) as url:
            yield url


async def upload(replica: Replica, query: str, content: bytes, **given: Any) -> None:
    """Start a build of a file; nobody gets the answer of a replica that is killed."""
    operations = json.dumps({"query": query, "variables": {"input": given | {"file": None}}})
    form = {"operations": operations, "map": json.dumps({"0": ["variables.input.file"]})}
    headers = {"graphql-require-preflight": "1"}
    with contextlib.suppress(httpx.TransportError):
        files = {"0": ("hello.py", content)}
        await replica.client.post("/graphql", data=form, files=files, headers=headers)


async def builds_by_app(replica: Replica, workspace_id: str) -> dict[str, dict[str, Any]]:
    """The workspace's builds by the beginning of their app's name."""
    query = "query ($id: ID!) { workspace(id: $id) { builds(first: 20) { nodes { appName status error } } } }"
    nodes = (await replica.data(query, id=workspace_id))["workspace"]["builds"]["nodes"]
    return {node["appName"][:6]: node for node in nodes}


async def test_kill_when_builds_are_handed_over(shared: Platform, builder: PacedBuilder) -> None:
    """What the builder surely never got is sent again, what it has is found there: each is there once.

    Where a registry's credentials would be needed, the build fails and says so.
    """
    held: set[str] = set()
    stalled: list[str] = []
    awake = asyncio.Event()

    async def stall(request: Request) -> Response | None:
        """Read nothing of an upload until its sender is dead."""
        stalled.append(request.url.path)
        await awake.wait()
        return JSONResponse({"detail": "nobody listens"}, 400)

    async with held_s3(shared.settings.aws_endpoint_url or "", held) as s3:
        owner = await shared.replica("owner", told={"AWS_ENDPOINT_URL_S3": s3})
        others = await shared.replicas("other", "third")
        workspace_id = await owner.create_workspace()
        unread = await owner.create_function(workspace_id, "unread")
        held.add(unread)
        answer = await owner.data(DEPLOY, input={"functionId": unread})
        deploys = {"unread": answer["deployFunction"]["build"]["id"]}
        heard = [builder.hold("upload", app) for app in ("unhear", "silent")]
        deploys["unhear"] = await owner.deploy(workspace_id, "unhear")
        starts = [asyncio.create_task(upload(owner, START, b"x = 1", workspaceId=workspace_id, appName="silent"))]

        async def both_there() -> bool:
            return len(builder.uploads) == 2

        await eventually(both_there)
        builder.fault = stall
        large, given = b"#" * LARGE, {"workspaceId": workspace_id}
        secret = {"username": "AWS", "password": "s3cret-token", "registryUrl": "r.example/app"}
        starts.append(asyncio.create_task(upload(owner, START, large, appName="halved", **given)))
        starts.append(
            asyncio.create_task(upload(owner, START_AND_PUSH, large, appName="secret", **given, **secret))
        )

        async def both_begun() -> bool:
            return len(stalled) == 2

        await eventually(both_begun, seconds=30)
        owner.kill()
        builder.fault = None
        awake.set()
        for event in heard:
            event.set()
        await asyncio.gather(*starts)

        async def all_ended() -> bool:
            return await shared.dynamo.builds.leases.list_active() == []

        await eventually(all_ended, seconds=30)
        ended = await builds_by_app(others[0], workspace_id)
        assert {app: build["status"] for app, build in ended.items()} == {
            "unread": "DONE",
            "unhear": "DONE",
            "silent": "DONE",
            "halved": "DONE",
            "secret": "FAILED",
        }
        assert ended["secret"]["error"].startswith(
            "was never accepted by the builder: the gateway stopped before,"
        )
        assert "credentials" in ended["secret"]["error"]
        assert Counter(app[:6] for app in builder.apps.values()) == Counter(
            ["unread", "unhear", "silent", "halved"]
        )
        assert Counter(app[:6] for app in builder.deploys) == Counter(["unread", "unhear"])
        for build_id in deploys.values():
            build = await others[1].build(build_id)
            assert (build["function"]["status"], len(build["function"]["deployments"]["nodes"])) == ("ACTIVE", 1)
        assert all("s3cret" not in shared.log_of(name) for name in ("owner", "other", "third"))
