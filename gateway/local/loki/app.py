"""The stand-in's HTTP and WebSocket routes. Errors are text/plain, as Loki's are."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.local.loki.errors import BadRequestError
from gateway.local.loki.logql import parse_log_query
from gateway.local.loki.push import MAX_BODY_BYTES, read_push
from gateway.local.loki.store import LineStore
from gateway.local.loki.tail import Tails, serve_tail
from gateway.local.loki.times import parse_range

MAX_ENTRIES = 5000
MAX_RANGE_NS = (30 * 24 + 1) * 3600 * 10**9
TRIM_INTERVAL_S = 60
"""Lines come slowly on one machine; a minute more or less does not matter to a week."""


def create_app(data_dir: Path, *, now_ns: Callable[[], int] = time.time_ns) -> Starlette:
    """The stand-in as an ASGI app; its lines are in `data_dir`/loki.sqlite while it runs and after."""
    routes = _Routes(data_dir, now_ns)
    return Starlette(
        routes=[
            Route("/ready", _ready),
            Route("/loki/api/v1/push", routes.push, methods=["POST"]),
            Route("/loki/api/v1/query_range", routes.query_range),
            Route("/loki/api/v1/query", routes.query),
            Route("/loki/api/v1/labels", routes.list_labels),
            Route("/loki/api/v1/label/{name}/values", routes.list_values),
            WebSocketRoute("/loki/api/v1/tail", routes.tail),
        ],
        exception_handlers={BadRequestError: _refuse},
        lifespan=routes.open_store,
    )


async def _ready(_request: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _refuse(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=400)


class _Routes:
    """The handlers, around one store that is open while the app runs."""

    _store: LineStore

    def __init__(self, data_dir: Path, now_ns: Callable[[], int]) -> None:
        self._data_dir = data_dir
        self._now_ns = now_ns
        self._tails = Tails()
        # A push is stored and offered in one go, so that a new tail has each line once.
        self._joining = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def open_store(self, _app: Starlette) -> AsyncIterator[None]:
        """Open the store, and trim it now and then, until the app ends."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with LineStore(self._data_dir / "loki.sqlite") as self._store:
            trimming = asyncio.create_task(self._trim_regularly())
            try:
                yield
            finally:
                trimming.cancel()
                await asyncio.gather(trimming, return_exceptions=True)

    async def push(self, request: Request) -> Response:
        """Store lines, then hand them to those who follow."""
        if not request.headers.get("content-type", "").startswith("application/json"):
            return PlainTextResponse("the local stand-in for Loki takes JSON only\n", status_code=415)
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            return PlainTextResponse("request body too large\n", status_code=413)
        encoding = request.headers.get("content-encoding", "")
        streams = read_push(await request.body(), encoding, self._now_ns())
        async with self._joining:
            await asyncio.to_thread(self._store.append, streams)
            self._tails.offer(streams)
        return Response(status_code=204)

    async def query_range(self, request: Request) -> Response:
        """Lines of a range, by stream."""
        parameters = request.query_params
        selector = parse_log_query(parameters.get("query", ""))
        start, end = parse_range(parameters, self._now_ns())
        if end - start > MAX_RANGE_NS:
            hours, minutes = divmod((end - start) // (60 * 10**9), 60)
            raise BadRequestError(
                f"the query time range exceeds the limit (query length: {hours}h{minutes}m0s, limit: 30d1h)"
            )
        limit, newest_first = _read_limit(parameters), _is_newest_first(parameters)
        found = await asyncio.to_thread(self._store.read, selector, start, end, limit, newest_first=newest_first)
        result = [
            {"stream": labels, "values": [[str(line.ts), line.line] for line in lines]} for labels, lines in found
        ]
        return _succeed({"resultType": "streams", "result": result, "stats": {}})

    async def query(self, request: Request) -> Response:
        """Instant queries are for metrics, which the stand-in has none of."""
        parse_log_query(request.query_params.get("query", ""))
        raise BadRequestError(
            "log queries are not supported as an instant query type, "
            "please change your query to a range query type"
        )

    async def list_labels(self, request: Request) -> Response:
        """The names of the labels in a range."""
        start, end = parse_range(request.query_params, self._now_ns())
        streams = await asyncio.to_thread(self._store.list_streams, start, end)
        return _succeed(sorted({name for labels in streams for name in labels}))

    async def list_values(self, request: Request) -> Response:
        """The values of one label in a range."""
        start, end = parse_range(request.query_params, self._now_ns())
        streams = await asyncio.to_thread(self._store.list_streams, start, end)
        name = request.path_params["name"]
        return _succeed(sorted({labels[name] for labels in streams if name in labels}))

    async def tail(self, websocket: WebSocket) -> None:
        """Lines as they come in, after up to `limit` of those since `start`, which is an hour ago by default."""
        parameters = websocket.query_params
        try:
            selector = parse_log_query(parameters.get("query", ""))
            limit = _read_limit(parameters)
            start, end = parse_range(parameters, self._now_ns() + 1)
        except BadRequestError as error:
            await websocket.send_denial_response(PlainTextResponse(f"{error}\n", status_code=400))
            return
        await websocket.accept()
        with self._tails.prepare(selector) as tail:
            async with self._joining:
                found = await asyncio.to_thread(self._store.read, selector, start, end, limit, newest_first=True)
                self._tails.follow(tail)
            first = [
                {"stream": labels, "values": [[str(line.ts), line.line] for line in reversed(lines)]}
                for labels, lines in found
            ]
            await serve_tail(websocket, tail, first)

    async def _trim_regularly(self) -> None:
        while True:
            await asyncio.to_thread(self._store.trim, self._now_ns())
            await asyncio.sleep(TRIM_INTERVAL_S)


def _succeed(data: Any) -> Response:
    return Response(orjson.dumps({"status": "success", "data": data}), media_type="application/json")


def _read_limit(parameters: QueryParams) -> int:
    text = parameters.get("limit") or "100"
    try:
        limit = int(text)
    except ValueError as error:
        raise BadRequestError(f'strconv.ParseUint: parsing "{text}": invalid syntax') from error
    if limit <= 0:
        raise BadRequestError("limit must be a positive value")
    if limit > MAX_ENTRIES:
        raise BadRequestError(
            f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {MAX_ENTRIES})"
        )
    return limit


def _is_newest_first(parameters: QueryParams) -> bool:
    direction = (parameters.get("direction") or "backward").lower()
    if direction not in {"backward", "forward"}:
        raise BadRequestError(f"invalid direction '{direction}'")
    return direction == "backward"
