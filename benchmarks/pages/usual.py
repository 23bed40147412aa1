"""The three pages by Strawberry and aioboto3 as most people would write it, with the same upstream calls.

`python -m benchmarks.pages.usual`: async resolvers, the SDK's client, boto3's TypeDeserializer, httpx, and
Strawberry's own ASGI view. Dataloaders and gathered calls are there: only the cost of the parts is compared.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aioboto3
import httpx
import strawberry
from boto3.dynamodb.types import TypeDeserializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.scalars import JSON

from benchmarks.pages.handwritten import serve
from benchmarks.pages.values import HOURS, hour_names, projection
from gateway.records.clock import KST

TABLE = os.environ.get("DYNAMODB_TABLE_NAME", "bench")
deserialize = TypeDeserializer().deserialize
upstream: dict[str, Any] = {}
Row = dict[str, Any]


def row_of(item: Row) -> Row:
    """A row's values, by boto3."""
    return {name: deserialize(attribute) for name, attribute in item.items()}


async def query(
    values: list[str], names: list[str], limit: int, *, index: bool = False, back: bool = False
) -> Any:
    """The rows of a Query."""
    pk, sk = ("GSI1PK", "GSI1SK") if index else ("PK", "SK")
    request: Row = projection([pk, sk, *names])
    if index:
        request["IndexName"] = "GSI1"
    answer = await upstream["dynamodb"].query(
        TableName=TABLE,
        KeyConditionExpression="#0 = :0 AND #1 BETWEEN :1 AND :2",
        ExpressionAttributeValues={f":{place}": {"S": value} for place, value in enumerate(values)},
        Limit=limit + 1,
        ScanIndexForward=not back,
        **request,
    )
    return [row_of(item) for item in answer["Items"]]


async def batch_get(keys: list[tuple[str, str]]) -> list[Row | None]:
    """Rows by key."""
    names = ["id", "name", "description", "createdAt", "functionCount", "runtime", "memory", "timeout"]
    names += ["httpMethods", "status", "invocationUrl", "lastModified", "environmentVariables", "workspace_id"]
    names += hour_names(int(time.time() // 3600))
    wanted = {"Keys": [{"PK": {"S": pk}, "SK": {"S": sk}} for pk, sk in keys]}
    request = {TABLE: wanted | projection(["PK", "SK", *names])}
    answer = await upstream["dynamodb"].batch_get_item(RequestItems=request)
    found = {(row["PK"], row["SK"]): row for row in map(row_of, answer["Responses"][TABLE])}
    return [found.get(key) for key in keys]


def at(text: str) -> datetime:
    """A stored time."""
    return datetime.fromisoformat(text).astimezone(KST)


def total(row: Row | None, kind: str) -> float:
    """A sum over the window."""
    hour = int(time.time() // 3600)
    return float(sum((row or {}).get(f"{kind}{hour - back}", 0) for back in range(HOURS)))


Info = strawberry.Info[dict[str, Any], None]


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class Counted:
    stats: strawberry.Private[tuple[str, str]]

    async def figures(self, info: Info) -> Row | None:
        return await info.context["rows"].load(self.stats)  # type: ignore[no-any-return]  # untyped context

    @strawberry.field
    async def invocations24h(self, info: Info) -> int:
        return int(total(await self.figures(info), "i"))

    @strawberry.field
    async def errors24h(self, info: Info) -> int:
        return int(total(await self.figures(info), "e"))

    @strawberry.field
    async def error_rate(self, info: Info) -> float:
        row = await self.figures(info)
        return total(row, "e") / total(row, "i") * 100 if total(row, "i") else 0.0


@strawberry.type
class Variable:
    name: str
    value: str


@strawberry.type
class ExecutionLog:
    id: strawberry.ID
    function_id: strawberry.ID
    timestamp: datetime
    status: str
    duration: float
    status_code: int
    request_body: JSON | None
    response_body: JSON | None
    logs: list[str]
    level: str

    @classmethod
    def of(cls, row: Row) -> "ExecutionLog":
        bodies = {name: row.get(name) for name in ("requestBody", "responseBody")}
        return cls(
            id=row["id"],
            function_id=row["functionId"],
            timestamp=at(row["timestamp"]),
            status=row["status"].upper(),
            duration=float(row["duration"]),
            status_code=int(row["statusCode"]),
            request_body=json.loads(bodies["requestBody"]) if bodies["requestBody"] else None,
            response_body=json.loads(bodies["responseBody"]) if bodies["responseBody"] else None,
            logs=row.get("logs", []),
            level=row["level"],
        )


@strawberry.type
class ExecutionLogs:
    nodes: list[ExecutionLog]


@strawberry.type
class Label:
    name: str
    value: str


@strawberry.type
class Line:
    timestamp: datetime
    line: str
    level: str | None
    labels: list[Label]


@strawberry.type
class Lines:
    nodes: list[Line]


@strawberry.type
class Point:
    timestamp: datetime
    value: float


@strawberry.type
class Series:
    unit: str
    current: float | None
    average: float | None
    peak: float | None
    points: list[Point]


async def series(unit: str) -> Series:
    """A series with its newest value."""
    answers = await asyncio.gather(
        *(
            upstream["prometheus"].post(f"/api/v1/{path}", data={"query": unit})
            for path in ("query", "query_range")
        )
    )
    now, ranged = (answer.json()["data"]["result"][0] for answer in answers)
    points = [Point(timestamp=datetime.fromtimestamp(t, KST), value=float(text)) for t, text in ranged["values"]]
    values = [point.value for point in points]
    average = sum(values) / len(values)
    return Series(unit=unit, current=float(now["value"][1]), average=average, peak=max(values), points=points)


@strawberry.type
class Metrics:
    @strawberry.field
    async def cpu(self) -> Series:
        return await series("cores")

    @strawberry.field
    async def memory(self) -> Series:
        return await series("bytes")

    @strawberry.field
    async def replicas(self) -> Series:
        return await series("pods")


@strawberry.type
class Function(Counted):
    id: strawberry.ID
    name: str
    description: str
    runtime: str
    memory: int
    timeout: int
    http_methods: list[str]
    status: str
    invocation_url: str | None
    last_modified: datetime
    environment_variables: list[Variable]

    @strawberry.field
    async def avg_duration(self, info: Info) -> float:
        row = await self.figures(info)
        return total(row, "d") / total(row, "i") if total(row, "i") else 0.0

    @strawberry.field
    async def execution_logs(self, first: int = 100) -> ExecutionLogs:
        names = ["id", "functionId", "timestamp", "status", "duration", "statusCode", "logs", "level"]
        names += ["requestBody", "responseBody"]
        found = await query([f"FN#{self.id}", "LOG#", "LOG#~"], names, first, back=True)
        return ExecutionLogs(nodes=[ExecutionLog.of(row) for row in found[:first]])

    @strawberry.field
    async def logs(self, first: int = 100) -> Lines:
        params = {"query": f'{{function_id="{self.id}"}}', "limit": str(first), "direction": "backward"}
        answer = (await upstream["loki"].get("/loki/api/v1/query_range", params=params)).json()
        found = [
            (
                int(time_ns),
                Line(
                    timestamp=datetime.fromtimestamp(int(time_ns) / 1e9, KST),
                    line=line,
                    level=stream["stream"].get("detected_level"),
                    labels=[Label(name=name, value=value) for name, value in sorted(stream["stream"].items())],
                ),
            )
            for stream in answer["data"]["result"]
            for time_ns, line in stream["values"]
        ]
        found.sort(key=lambda pair: -pair[0])
        return Lines(nodes=[line for _, line in found[:first]])

    @strawberry.field
    async def metrics(self, window: int = 3600) -> Metrics:  # noqa: ARG002  # the stub has one window
        return Metrics()

    @classmethod
    def of(cls, row: Row, workspace_id: str) -> "Function":
        return cls(
            stats=(f"WS#{workspace_id}", f"FNSTATS#{row['id']}"),
            **{name: row[name] for name in ("id", "name", "description", "runtime")},
            memory=int(row["memory"]),
            timeout=int(row["timeout"]),
            http_methods=row["httpMethods"],
            status=row["status"].upper(),
            invocation_url=row.get("invocationUrl"),
            last_modified=at(row["lastModified"]),
            environment_variables=[
                Variable(name=name, value=value) for name, value in sorted(row["environmentVariables"].items())
            ],
        )


@strawberry.type
class Functions:
    total_count: int
    nodes: list[Function]
    page_info: PageInfo


@strawberry.type
class Build:
    id: strawberry.ID
    kind: str
    status: str
    app_name: str
    created_at: datetime
    updated_at: datetime


@strawberry.type
class Builds:
    nodes: list[Build]


@strawberry.type
class Workspace(Counted):
    id: strawberry.ID
    name: str
    description: str
    created_at: datetime
    function_count: int

    @strawberry.field
    async def functions(self, info: Info, first: int = 50) -> Functions:
        names = ["id", "name", "description", "runtime", "memory", "timeout", "httpMethods", "status"]
        names += ["invocationUrl", "lastModified", "environmentVariables"]
        pk = f"WS#{self.id}"
        found, stats = await asyncio.gather(
            query([pk, "FN#", "FN#~"], names, first),
            query([pk, "FNSTATS#", "FNSTATS#~"], hour_names(int(time.time() // 3600)), first),
        )
        for row in stats:
            info.context["rows"].prime((pk, row["SK"]), row)
        nodes = [Function.of(row, self.id) for row in found[:first]]
        page_info = PageInfo(has_next_page=len(found) > first)
        return Functions(total_count=self.function_count, nodes=nodes, page_info=page_info)

    @strawberry.field
    async def execution_logs(self, first: int = 50) -> ExecutionLogs:
        names = ["id", "functionId", "timestamp", "status", "duration", "statusCode", "level"]
        found = await query([f"WS#{self.id}#LOGS", " ", "~"], names, first, index=True, back=True)
        return ExecutionLogs(nodes=[ExecutionLog.of(row) for row in found[:first]])

    @strawberry.field
    async def builds(self, first: int = 50) -> Builds:
        names = ["task_id", "kind", "status", "app_name", "created_at", "updated_at"]
        found = await query([f"WS#{self.id}#BUILDS", " ", "~"], names, first, index=True, back=True)
        return Builds(
            nodes=[
                Build(
                    id=row["task_id"],
                    kind=row["kind"].upper(),
                    status="DONE" if row["status"] == "completed" else row["status"].upper(),
                    app_name=row["app_name"],
                    created_at=at(row["created_at"]),
                    updated_at=at(row["updated_at"]),
                )
                for row in found[:first]
            ]
        )

    @classmethod
    def of(cls, row: Row) -> "Workspace":
        return cls(
            stats=(f"WS#{row['id']}", "WSSTATS"),
            **{name: row[name] for name in ("id", "name", "description")},
            created_at=at(row["createdAt"]),
            function_count=int(row["functionCount"]),
        )


@strawberry.type
class Workspaces:
    nodes: list[Workspace]
    page_info: PageInfo


known: dict[str, str] = {}


@strawberry.type
class Query:
    @strawberry.field
    async def workspaces(self, first: int = 50) -> Workspaces:
        names = ["id", "name", "description", "createdAt", "functionCount"]
        found = await query(["WORKSPACES", " ", "~"], names, first, index=True, back=True)
        nodes = [Workspace.of(row) for row in found[:first]]
        return Workspaces(nodes=nodes, page_info=PageInfo(has_next_page=len(found) > first))

    @strawberry.field
    async def workspace(self, info: Info, id: strawberry.ID) -> Workspace | None:
        rows = info.context["rows"]
        row, _ = await asyncio.gather(rows.load((f"WS#{id}", "METADATA")), rows.load((f"WS#{id}", "WSSTATS")))
        return Workspace.of(row) if row else None

    @strawberry.field
    async def function(self, info: Info, id: strawberry.ID) -> Function | None:
        rows = info.context["rows"]
        if id not in known:
            known[id] = (await rows.load((f"FN#{id}", "METADATA")))["workspace_id"]
        pk = f"WS#{known[id]}"
        row, _ = await asyncio.gather(rows.load((pk, f"FN#{id}")), rows.load((pk, f"FNSTATS#{id}")))
        return Function.of(row, known[id]) if row else None


class Endpoint(GraphQL[dict[str, Any], None]):
    """Strawberry's view, with dataloaders made for each request."""

    async def get_context(self, request: Request | Any, response: Response | Any) -> dict[str, Any]:  # noqa: ARG002  # Strawberry's signature
        return {"rows": DataLoader(load_fn=batch_get)}


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open the clients."""
    async with (
        aioboto3.Session().client("dynamodb", endpoint_url=os.environ["AWS_ENDPOINT_URL"]) as dynamodb,
        httpx.AsyncClient(base_url=os.environ["LOKI_SERVICE_URL"]) as loki,
        httpx.AsyncClient(base_url=os.environ["PROMETHEUS_SERVICE_URL"]) as prometheus,
    ):
        upstream.update(dynamodb=dynamodb, loki=loki, prometheus=prometheus)
        yield


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/graphql", Endpoint(strawberry.Schema(Query)))], lifespan=lifespan))
