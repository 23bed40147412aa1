"""What the builder's tests look through: a client of it, a small Kubernetes API, and the table and the bucket."""

import asyncio
import io
import time
import uuid
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.local.builder.config import BuilderConfig
from gateway.local.processes import listen, url_of

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_s3.client import S3Client

REGION: Final = "ap-northeast-2"
HELLO = """\
from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        return Response(200, {"content-type": "text/plain"}, bytes("Hello", "utf-8"))
"""
MANIFEST = """\
spin_manifest_version = 2

[application]
name = "packed"

[[trigger.http]]
route = "/..."
component = "packed"

[component.packed]
source = "app.wasm"
environment = { GREETING = "hi", "EMPTY" = "" }

[component.packed.build]
command = "componentize-py -w spin-http componentize hello -o app.wasm"
"""


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app for the block; its URL."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with listen() as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            await task


@dataclass
class Cluster:
    """A Kubernetes API that knows two namespaces and keeps SpinApps; `calls` are the requests it got."""

    url: str = ""
    calls: list[str] = field(default_factory=list)
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)
    ready_replicas: int = 1
    refusal: str | None = None

    def reset(self) -> None:
        """Forget everything but the address."""
        self.calls.clear()
        self.apps.clear()
        self.ready_replicas, self.refusal = 1, None

    async def answer(self, request: Request) -> JSONResponse:
        """GET and PATCH of one SpinApp."""
        name, namespace = request.path_params["name"], request.path_params["namespace"]
        self.calls.append(f"{request.method} {namespace}/{name}")
        if namespace != "default":
            return _status(404, f'namespaces "{namespace}" not found')
        if request.method == "PATCH" and self.refusal is not None:
            return _status(422, self.refusal)
        if request.method == "PATCH":
            self.apps[name] = await request.json() | {"status": {"readyReplicas": self.ready_replicas}}
        if name not in self.apps:
            return _status(404, f'spinapps.core.spinkube.dev "{name}" not found')
        return JSONResponse(self.apps[name])


def _status(code: int, message: str) -> JSONResponse:
    return JSONResponse({"kind": "Status", "status": "Failure", "message": message, "code": code}, code)


@dataclass
class Aws:
    """The table and the bucket as a test looks into them; the clients belong to the session's loop."""

    url: str
    table: str
    bucket: str
    dynamodb: "DynamoDBClient"
    s3: "S3Client"

    async def create(self, table: str, bucket: str) -> None:
        """Make a table and a bucket."""
        await self.dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "PK", "AttributeType": "S"},
                {"AttributeName": "SK", "AttributeType": "S"},
            ],
        )
        await self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    async def items(self, workspace: str) -> list[dict[str, str]]:
        """The workspace's items, which hold strings only."""
        answer = await self.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": f"WS#{workspace}"}},
        )
        return [{name: str(value["S"]) for name, value in item.items()} for item in answer["Items"]]

    async def put_item(self, **values: dict[str, Any]) -> None:
        """Store an item given in DynamoDB's JSON."""
        await self.dynamodb.put_item(TableName=self.table, Item=values)

    async def read(self, uri: str) -> bytes:
        """The object of an `s3://` URI."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        answer = await self.s3.get_object(Bucket=bucket, Key=key)
        async with answer["Body"] as body:
            return await body.read()


@dataclass
class Builder:
    """A running stand-in, as a client sees it."""

    client: httpx.AsyncClient
    config: BuilderConfig

    async def upload(self, call: str, filename: str, content: bytes | str, **fields: str) -> dict[str, Any]:
        """POST a source to /build or /build-and-push, which accepts it; the 202's body."""
        files = {"file": (filename, content if isinstance(content, bytes) else content.encode())}
        answer = await self.client.post(f"/api/v1/{call}", data=fields, files=files)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def task(self, task_id: str, workspace_id: str) -> dict[str, Any]:
        """GET the task."""
        answer = await self.client.get(f"/api/v1/tasks/{task_id}", params={"workspace_id": workspace_id})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def poll(
        self, ask: Callable[[], Awaitable[dict[str, Any]]], until: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        """Ask until the answer is as wanted, two minutes at most; the answers that differ from the one before."""
        seen: list[dict[str, Any]] = []
        deadline = time.monotonic() + 120
        while not seen or not until(seen[-1]):
            assert time.monotonic() < deadline, seen
            answer = await ask()
            if not seen or seen[-1] != answer:
                seen.append(answer)
            else:
                await asyncio.sleep(0.01)
        return seen

    async def follow(self, task_id: str, workspace_id: str) -> list[dict[str, Any]]:
        """Poll a task to its end; its different answers."""
        final = {"completed", "done", "failed"}
        return await self.poll(lambda: self.task(task_id, workspace_id), lambda task: task["status"] in final)

    async def build(self, filename: str, content: bytes | str, call: str = "build") -> dict[str, Any]:
        """Upload to a workspace of its own and wait for the end; the task."""
        workspace = new_workspace()
        accepted = await self.upload(call, filename, content, workspace_id=workspace)
        return (await self.follow(accepted["task_id"], workspace))[-1]


def zipped(**files: str) -> bytes:
    """A zip of files; a double underscore in a name stands for the dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def new_workspace() -> str:
    """A workspace id of its own."""
    return f"ws-{uuid.uuid4().hex[:8]}"


StartBuilder = Callable[..., AbstractAsyncContextManager[Builder]]
