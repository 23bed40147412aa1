"""The three pages as one would write them by hand: Starlette, orjson, a thin signed client; no GraphQL at all.

`python -m benchmarks.pages.handwritten`; the upstreams' addresses come from the environment, as the gateway's do.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.pages.signed import SignedClient
from benchmarks.pages.values import figure_fields, hour_names, kst, projection, row_of, value_of
from gateway.records.clock import KST

TABLE = os.environ.get("DYNAMODB_TABLE_NAME", "bench")


class Pages:
    """The pages and their upstreams."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.dynamo = SignedClient(http, os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"])
        self.loki, self.prometheus = os.environ["LOKI_SERVICE_URL"], os.environ["PROMETHEUS_SERVICE_URL"]

    async def query(self, values: dict[str, str], names: list[str], limit: int, *, index: bool = False) -> Any:
        """The items of a Query."""
        pk, sk = ("GSI1PK", "GSI1SK") if index else ("PK", "SK")
        request = projection([pk, sk, *names])
        request |= {
            "TableName": TABLE,
            "KeyConditionExpression": "#0 = :0 AND #1 BETWEEN :1 AND :2",
            "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
            "Limit": limit + 1,
            "ScanIndexForward": not (index or "LOG#" in values[":1"]),
        }
        request |= {"IndexName": "GSI1"} if index else {"ConsistentRead": True}
        return (await self.dynamo.call("Query", request))["Items"]

    async def rows(self, keys: list[tuple[str, str]], names: list[str]) -> dict[tuple[str, str], Any]:
        """Items by key."""
        wanted = {"Keys": [{"PK": {"S": pk}, "SK": {"S": sk}} for pk, sk in keys], "ConsistentRead": True}
        request = {"RequestItems": {TABLE: wanted | projection(["PK", "SK", *names])}}
        items = (await self.dynamo.call("BatchGetItem", request))["Responses"][TABLE]
        return {(item["PK"]["S"], item["SK"]["S"]): item for item in items}

    async def landing(self) -> dict[str, Any]:
        """50 workspaces with their figures."""
        hour = int(time.time() // 3600)
        names = ["id", "name", "description", "createdAt", "functionCount"]
        items = await self.query({":0": "WORKSPACES", ":1": " ", ":2": "~"}, names, 50, index=True)
        keys = [(f"WS#{item['id']['S']}", "WSSTATS") for item in items]
        stats = await self.rows(keys, hour_names(hour))
        nodes = [
            _workspace(item) | figure_fields(stats.get(key), hour, average=False)
            for item, key in zip(items, keys, strict=True)
        ]
        return {"workspaces": {"nodes": nodes, "pageInfo": {"hasNextPage": False}}}

    async def dashboard(self, id_: str) -> dict[str, Any]:
        """A workspace with its functions, logs and builds."""
        hour, pk = int(time.time() // 3600), f"WS#{id_}"
        names = ["id", "name", "description", "createdAt", "functionCount", *hour_names(hour)]
        function_names = ["id", "name", "description", "runtime", "memory", "timeout", "httpMethods", "status"]
        function_names += ["invocationUrl", "lastModified"]
        log_names = ["id", "functionId", "timestamp", "status", "duration", "statusCode", "level"]
        build_names = ["task_id", "kind", "status", "app_name", "created_at", "updated_at"]
        rows, functions, stats, logs, builds = await asyncio.gather(
            self.rows([(pk, "METADATA"), (pk, "WSSTATS")], names),
            self.query({":0": pk, ":1": "FN#", ":2": "FN#~"}, function_names, 50),
            self.query({":0": pk, ":1": "FNSTATS#", ":2": "FNSTATS#~"}, hour_names(hour), 50),
            self.query({":0": f"{pk}#LOGS", ":1": " ", ":2": "~"}, log_names, 50, index=True),
            self.query({":0": f"{pk}#BUILDS", ":1": " ", ":2": "~"}, build_names, 50, index=True),
        )
        by_id = {item["SK"]["S"].partition("#")[2]: item for item in stats}
        workspace = _workspace(rows[pk, "METADATA"])
        workspace |= figure_fields(rows.get((pk, "WSSTATS")), hour, average=False)
        nodes = [_function(item) | figure_fields(by_id.get(item["id"]["S"]), hour) for item in functions]
        workspace["functions"] = {
            "totalCount": workspace["functionCount"],
            "nodes": nodes,
            "pageInfo": {"hasNextPage": False},
        }
        workspace["executionLogs"] = {"nodes": [_log(row_of(item)) for item in logs]}
        workspace["builds"] = {"nodes": [_build(row_of(item)) for item in builds]}
        return {"workspace": workspace}

    async def function(self, id_: str) -> dict[str, Any]:
        """A function with its logs, lines and series."""
        hour = int(time.time() // 3600)
        pk = f"WS#{await self.workspace_of(id_)}"
        names = ["id", "name", "description", "runtime", "memory", "timeout", "httpMethods", "status"]
        names += ["invocationUrl", "lastModified", "environmentVariables", *hour_names(hour)]
        log_names = ["id", "timestamp", "status", "duration", "statusCode", "logs", "level"]
        log_names += ["requestBody", "responseBody", "functionId"]
        rows, logs, lines, *series = await asyncio.gather(
            self.rows([(pk, f"FN#{id_}"), (pk, f"FNSTATS#{id_}")], names),
            self.query({":0": f"FN#{id_}", ":1": "LOG#", ":2": "LOG#~"}, log_names, 100),
            self.lines(id_),
            *(self.series(unit, path) for unit in ("cores", "bytes", "pods") for path in ("query", "query_range")),
        )
        item = rows[pk, f"FN#{id_}"]
        function = _function(item)
        environment = value_of(item["environmentVariables"])
        function["environmentVariables"] = [
            {"name": name, "value": value} for name, value in sorted(environment.items())
        ]
        function |= figure_fields(rows.get((pk, f"FNSTATS#{id_}")), hour)
        function["executionLogs"] = {"nodes": [_log(row_of(item), full=True) for item in logs]}
        function["logs"] = {"nodes": lines}
        function["metrics"] = {
            name: _series(unit, series[2 * place], series[2 * place + 1])
            for place, (name, unit) in enumerate((("cpu", "cores"), ("memory", "bytes"), ("replicas", "pods")))
        }
        return {"function": function}

    workspaces: dict[str, str] = {}  # noqa: RUF012  # what the process knows

    async def workspace_of(self, id_: str) -> str:
        """The workspace of a function, remembered."""
        if id_ not in self.workspaces:
            key = (f"FN#{id_}", "METADATA")
            self.workspaces[id_] = (await self.rows([key], ["workspace_id"]))[key]["workspace_id"]["S"]
        return self.workspaces[id_]

    async def lines(self, id_: str) -> list[dict[str, Any]]:
        """Lines of Loki, newest first."""
        params = {"query": f'{{function_id="{id_}"}}', "limit": "101", "direction": "backward"}
        async with self.http.get(f"{self.loki}/loki/api/v1/query_range", params=params) as response:
            answer = orjson.loads(await response.read())
        found: list[tuple[int, dict[str, Any]]] = []
        for stream in answer["data"]["result"]:
            level = stream["stream"].get("detected_level")
            labels = [{"name": name, "value": value} for name, value in sorted(stream["stream"].items())]
            for time_ns, line in stream["values"]:
                at = datetime.fromtimestamp(int(time_ns) / 1e9, KST).isoformat()
                found.append((int(time_ns), {"timestamp": at, "line": line, "level": level, "labels": labels}))
        found.sort(key=lambda pair: -pair[0])
        return [line for _, line in found[:100]]

    async def series(self, unit: str, path: str) -> list[tuple[float, str]]:
        """Samples of one series."""
        async with self.http.post(f"{self.prometheus}/api/v1/{path}", data={"query": unit}) as response:
            series = orjson.loads(await response.read())["data"]["result"][0]
        found: list[tuple[float, str]] = series.get("values") or [series["value"]]
        return found


def _workspace(item: dict[str, Any]) -> dict[str, Any]:
    row = {name: item[name]["S"] for name in ("id", "name", "description")}
    return row | {"createdAt": kst(item["createdAt"]["S"]), "functionCount": int(item["functionCount"]["N"])}


def _function(item: dict[str, Any]) -> dict[str, Any]:
    row = row_of(item)
    names = ("id", "name", "description", "runtime", "memory", "timeout", "httpMethods")
    function = {name: row[name] for name in names}
    function["status"] = row["status"].upper()
    function["invocationUrl"] = row.get("invocationUrl")
    function["lastModified"] = kst(row["lastModified"])
    return function


def _log(row: dict[str, Any], *, full: bool = False) -> dict[str, Any]:
    log = {
        "id": row["id"],
        "timestamp": kst(row["timestamp"]),
        "status": row["status"].upper(),
        "duration": row["duration"],
        "statusCode": row["statusCode"],
        "level": row["level"],
    }
    if not full:
        return log | {"functionId": row["functionId"]}
    log["requestBody"] = orjson.Fragment(row["requestBody"])
    log["responseBody"] = orjson.Fragment(row["responseBody"])
    return log | {"logs": row["logs"]}


def _build(row: dict[str, Any]) -> dict[str, Any]:
    status = row["status"].upper()
    return {
        "id": row["task_id"],
        "kind": row["kind"].upper(),
        "status": "DONE" if status == "COMPLETED" else status,
        "appName": row["app_name"],
        "createdAt": kst(row["created_at"]),
        "updatedAt": kst(row["updated_at"]),
    }


def _series(unit: str, now: list[tuple[float, str]], ranged: list[tuple[float, str]]) -> dict[str, Any]:
    points = [
        {"timestamp": datetime.fromtimestamp(time_s, UTC).astimezone(KST).isoformat(), "value": float(text)}
        for time_s, text in ranged
    ]
    values = [point["value"] for point in points]
    return {
        "unit": unit,
        "current": float(now[-1][1]),
        "average": sum(values) / len(values),  # type: ignore[arg-type]  # floats
        "peak": max(values),  # type: ignore[type-var]  # the same
        "points": points,
    }


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the clients."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        app.state.pages = Pages(http)
        yield


async def page(request: Request) -> Response:
    """Answer a page; the body is the GraphQL request that the others get, so that reading it costs the same."""
    body = orjson.loads(await request.body())
    pages: Pages = request.app.state.pages
    match body["query"].split("(")[0].split()[1]:
        case "Dashboard":
            data = await pages.dashboard(body["variables"]["id"])
        case "Function":
            data = await pages.function(body["variables"]["id"])
        case _:
            data = await pages.landing()
    return Response(orjson.dumps({"data": data}), media_type="application/json")


def serve(app: Any) -> None:
    """Serve on a free port, and print the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/graphql", page, methods=["POST"])], lifespan=lifespan))
