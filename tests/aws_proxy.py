"""An AWS endpoint that tests can stand in: calls are counted, refused from one on, or the index is made to lag."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.contents import DYNAMODB_URL
from tests.observability import serving

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"}
HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "content-encoding", "host"}


@dataclass
class AwsProxy:
    """Forwards to a server what it is not told to refuse."""

    client: httpx.AsyncClient
    s3_url: str
    dynamodb_url: str
    url: str = ""
    index_lags: bool = False
    """Whether the index is the table `{name}-index`, which gets the writes when it is told to `catch_up`."""
    fail_from: int | None = None
    """The number of the first call that is refused, as all after it are; None refuses none."""
    refused: str | None = None
    """The beginning of those operations that are refused; None refuses none."""
    refused_words: tuple[str, ...] = ()
    """A call that has all of them in its body is refused; none refuses none."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """What happens between a call that is refused and its answer."""
    lost: str | None = None
    """The beginning of those operations that are done and answered as if they were refused; None loses none."""
    answers: dict[str, list[Response]] = field(default_factory=dict)
    """What the next calls of an operation are answered with, in place of the server's answer."""
    bodies: list[bytes] = field(default_factory=list)
    """What those calls sent."""
    operations: list[str] = field(default_factory=list)
    """What was asked for, such as `dynamodb GetItem` and `s3 PUT`."""
    queries: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    """What each Query of the table itself sent, and the bytes of its answer."""
    missed: list[tuple[Request, bytes]] = field(default_factory=list)
    """What the lagging index has not got yet."""

    def reset(self, *, fail_from: int | None = None) -> None:
        """Count from zero."""
        self.operations.clear()
        self.fail_from = fail_from

    async def answer(self, request: Request) -> Response:
        """Any call."""
        body = await request.body()
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        self.operations.append(f"dynamodb {operation}" if operation else f"s3 {request.method}")
        if self._is_refused(self.operations[-1], body):
            if self.meanwhile is not None:
                await self.meanwhile()
            return _refusal(operation)
        if prepared := self.answers.get(operation):
            self.bodies.append(body)
            return prepared.pop(0)
        if self.index_lags and operation == "Query" and "IndexName" in json.loads(body):
            body = _lagging(body)
        answer = await self._forward(request, body)
        if operation == "Query" and "IndexName" not in (sent := json.loads(body)):
            self.queries.append((sent, len(answer.body)))
        if self.index_lags and operation in WRITES and answer.status_code == 200:
            self.missed.append((request, _lagging(body)))
        if self.lost is not None and self.operations[-1].startswith(self.lost):
            return _refusal(operation)
        return answer

    async def catch_up(self) -> None:
        """Bring all that was written into the lagging index, in its order."""
        while self.missed:
            await self._forward(*self.missed.pop(0))

    def _is_refused(self, operation: str, body: bytes) -> bool:
        if self.refused_words and all(word.encode() in body for word in self.refused_words):
            return True
        if self.refused is not None and operation.startswith(self.refused):
            return True
        return self.fail_from is not None and len(self.operations) > self.fail_from

    async def _forward(self, request: Request, body: bytes) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        base = self.dynamodb_url if "x-amz-target" in request.headers else self.s3_url
        path = request.scope["raw_path"].decode()
        query = request.url.query
        found = await self.client.request(
            request.method, base + path + (f"?{query}" if query else ""), headers=headers, content=body
        )
        kept = {name: value for name, value in found.headers.items() if name not in HOP_BY_HOP}
        return Response(found.content, found.status_code, kept)


@asynccontextmanager
async def aws_proxy(aws_url: str) -> AsyncIterator[AwsProxy]:
    """Serve a proxy in front of a server; give its address as `aws_endpoint_url_dynamodb` too."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        proxy = AwsProxy(client, s3_url=aws_url, dynamodb_url=os.environ.get(DYNAMODB_URL, aws_url))
        methods = ["GET", "PUT", "POST", "DELETE", "HEAD"]
        async with serving(Starlette(routes=[Route("/{path:path}", proxy.answer, methods=methods)])) as proxy.url:
            yield proxy


def _refusal(operation: str) -> Response:
    """An answer that the SDK does not try again."""
    if operation:
        body = json.dumps({"__type": "com.amazonaws#AccessDeniedException", "message": "the test refuses it"})
        return Response(body, 400, {"content-type": "application/x-amz-json-1.0"})
    return Response("<Error><Code>AccessDenied</Code><Message>the test refuses it</Message></Error>", 403)


def _lagging(body: bytes) -> bytes:
    """The same request for the table that stands for the index."""

    def rename(value: object) -> object:
        match value:
            case dict():
                named = {name: rename(inner) for name, inner in value.items() if name != "ClientRequestToken"}
                if isinstance(named.get("TableName"), str):
                    named["TableName"] = f"{named['TableName']}-index"
                if isinstance(items := named.get("RequestItems"), dict):
                    named["RequestItems"] = {f"{table}-index": content for table, content in items.items()}
                return named
            case list():
                return [rename(inner) for inner in value]
            case _:
                return value

    return json.dumps(rename(json.loads(body))).encode()
