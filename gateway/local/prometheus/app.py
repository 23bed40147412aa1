"""The stand-in's routes, with the answers and errors of Prometheus' HTTP API."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.local.prometheus.evaluation import Evaluator, ExecutionError
from gateway.local.prometheus.exposition import Labels
from gateway.local.prometheus.promql import Expression, parse_duration_ms, parse_promql
from gateway.local.prometheus.samples import SampleStore
from gateway.local.prometheus.scraper import INTERVAL_S, scrape_regularly
from gateway.local.prometheus.snapshot import encode_snapshot, read_snapshot, write_snapshot
from gateway.local.selectors import QuerySyntaxError

MAX_POINTS = 11_000
"""Prometheus' own."""
SNAPSHOT_INTERVAL_S = 60
"""A day of 30 pods takes half a second to pack; less is usual."""


class BadDataError(Exception):
    """A parameter is wrong; the message is in Prometheus' words."""


def create_app(
    data_dir: Path, target: str | None, *, store: SampleStore | None = None, interval_s: float = INTERVAL_S
) -> Starlette:
    """The stand-in as an ASGI app that scrapes `target`; with a `store` it starts from its samples."""
    routes = _Routes(data_dir / "prometheus.snapshot", target, store, interval_s)
    return Starlette(
        routes=[
            Route("/-/ready", _ready),
            Route("/api/v1/query", routes.query, methods=["GET", "POST"]),
            Route("/api/v1/query_range", routes.query_range, methods=["GET", "POST"]),
        ],
        exception_handlers={BadDataError: _refuse, ExecutionError: _fail},
        lifespan=routes.scrape,
    )


async def _ready(_request: Request) -> Response:
    return PlainTextResponse("Prometheus Server is Ready.\n")


async def _refuse(_request: Request, error: Exception) -> Response:
    return _answer({"status": "error", "errorType": "bad_data", "error": str(error)}, 400)


async def _fail(_request: Request, error: Exception) -> Response:
    return _answer({"status": "error", "errorType": "execution", "error": str(error)}, 422)


class _Routes:
    """The handlers, around the samples that are scraped while the app runs."""

    def __init__(self, snapshot: Path, target: str | None, store: SampleStore | None, interval_s: float) -> None:
        self._snapshot = snapshot
        self._target = target
        self._store = store or SampleStore()
        self._interval_s = interval_s
        self._saving = threading.Lock()

    @contextlib.asynccontextmanager
    async def scrape(self, _app: Starlette) -> AsyncIterator[None]:
        """Scrape and keep snapshots until the app ends, and once more then."""
        if not self._store.series:
            self._store = read_snapshot(self._snapshot)
        tasks = [asyncio.create_task(self._keep_snapshots())]
        if self._target is not None:
            scraping = scrape_regularly(self._store, self._target, interval_s=self._interval_s)
            tasks.append(asyncio.create_task(scraping))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._save(encode_snapshot(self._store))

    async def query(self, request: Request) -> Response:
        """The values at one time."""
        parameters = await _read_parameters(request)
        expression = _parse(parameters)
        time_ms = _read_time(parameters, "time") if parameters.get("time") else round(time.time() * 1000)
        vector = Evaluator(self._store).evaluate(expression, time_ms)
        result = [
            {"metric": dict(labels), "value": [time_ms / 1000, _format(value)]} for labels, value in vector.items()
        ]
        return _succeed("vector", result)

    async def query_range(self, request: Request) -> Response:
        """The values from `start` to `end`, every `step`."""
        parameters = await _read_parameters(request)
        start_ms, end_ms = _read_time(parameters, "start"), _read_time(parameters, "end")
        if end_ms < start_ms:
            raise BadDataError('invalid parameter "end": end timestamp must not be before start time')
        step_ms = _read_step(parameters)
        if (end_ms - start_ms) / step_ms > MAX_POINTS:
            raise BadDataError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        expression = _parse(parameters)
        evaluator = Evaluator(self._store)
        series: dict[Labels, list[list[Any]]] = {}
        for number, time_ms in enumerate(range(start_ms, end_ms + 1, step_ms)):
            for labels, value in evaluator.evaluate(expression, time_ms).items():
                series.setdefault(labels, []).append([time_ms / 1000, _format(value)])
            if number % 100 == 0:
                await asyncio.sleep(0)  # a long range must not hold up the next scrape
        return _succeed(
            "matrix", [{"metric": dict(labels), "values": values} for labels, values in series.items()]
        )

    async def _keep_snapshots(self) -> None:
        while True:
            await asyncio.sleep(SNAPSHOT_INTERVAL_S)
            self._store.trim(round(time.time() * 1000))
            await asyncio.to_thread(self._save, encode_snapshot(self._store))

    def _save(self, encoded: bytes) -> None:
        with self._saving:  # a cancelled task leaves its thread writing
            self._snapshot.parent.mkdir(parents=True, exist_ok=True)
            write_snapshot(self._snapshot, encoded)


async def _read_parameters(request: Request) -> Mapping[str, str]:
    """The query's parameters and, over them, the form's."""
    parameters = dict(request.query_params)
    if request.method == "POST":
        form = await request.form()
        parameters.update({name: value for name, value in form.items() if isinstance(value, str)})
    return parameters


def _parse(parameters: Mapping[str, str]) -> Expression:
    try:
        return parse_promql(parameters.get("query", ""))
    except QuerySyntaxError as error:
        place = f"{error.line}:{error.column}"
        raise BadDataError(f'invalid parameter "query": {place}: parse error: {error.message}') from error


def _read_time(parameters: Mapping[str, str], name: str) -> int:
    text = parameters.get(name, "")
    try:
        seconds = datetime.fromisoformat(text).timestamp() if "T" in text else float(text)
        return round(seconds * 1000)
    except (ValueError, OverflowError) as error:
        raise BadDataError(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from error


def _read_step(parameters: Mapping[str, str]) -> int:
    text = parameters.get("step", "")
    try:
        step_ms = parse_duration_ms(text) if text[-1:].isalpha() else round(float(text) * 1000)
    except (ValueError, OverflowError) as error:
        raise BadDataError(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from error
    if step_ms <= 0:
        raise BadDataError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return step_ms


def _format(value: float) -> str:
    text = repr(value)
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text.removesuffix(".0"))


def _succeed(kind: str, result: list[dict[str, Any]]) -> Response:
    return _answer({"status": "success", "data": {"resultType": kind, "result": result}}, 200)


def _answer(body: Mapping[str, Any], status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
