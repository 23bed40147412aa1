"""A Builder Service whose tasks go exactly as far as a test lets them, and that can be made to misbehave."""

import asyncio
import json
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.local.processes import listen, url_of

Fault = Callable[[Request], Awaitable[Response | None]]
"""Answers a call in the builder's place, or leaves it to the builder."""

RESULT = {"wasm_path": "s3://b/app.wasm"}
IMAGE = RESULT | {"image_uri": "r.example/f:1"}
ANSWERS: dict[str, dict[str, Any]] = {
    "pending": {"status": "pending", "result": None},
    "building": {"status": "running", "result": None},
    "pushing": {"status": "running", "result": RESULT},
    "done": {"status": "completed", "result": IMAGE},
}


@dataclass
class PacedBuilder:
    """Apps are told apart by how their names begin: those of a function begin with its name's letters."""

    url: str = ""
    default: str = "done"
    phases: dict[str, str] = field(default_factory=dict)
    """How far an app's task has come; the others are at `default`."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Calls of an app, as `upload:app` or `deploy:app`, that are answered when their event is set."""
    fault: Fault | None = None
    uploads: list[str] = field(default_factory=list)
    deploys: list[str] = field(default_factory=list)
    """The apps of the calls so far; an upload counts once it is there to its end."""
    polls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """When each task was asked for."""
    apps: dict[str, str] = field(default_factory=dict)
    """The app of each task."""
    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Workspace and time of each task, as its list has them."""
    stop: Callable[[], Awaitable[object]] = field(init=False)
    """Be gone: connections are refused until `start`."""
    start: Callable[[], Awaitable[object]] = field(init=False)

    def hold(self, call: str, app: str) -> asyncio.Event:
        """Answer this call of this app only when the event is set."""
        return self.held.setdefault(f"{call}:{app}", asyncio.Event())

    def polls_of(self, app: str) -> int:
        """How often an app's task was asked for."""
        return sum(len(times) for task, times in self.polls.items() if self.apps[task].startswith(app))

    async def answer(self, request: Request) -> Response:
        """Any call."""
        if self.fault is not None and (broken := await self.fault(request)) is not None:
            return broken
        match request.url.path.rsplit("/", 1)[-1]:
            case "build" | "build-and-push":
                async with request.form() as form:
                    app, workspace_id = str(form["app_name"]), str(form["workspace_id"])
                self.uploads.append(app)
                await self._released("upload", app)
                self.apps[task := str(uuid.uuid4())] = app
                self.made[task] = (workspace_id, datetime.now(UTC).replace(tzinfo=None).isoformat())
                return JSONResponse({"task_id": task, "status": "pending", "source_s3_path": "s3://b/s"}, 202)
            case "deploy":
                body = json.loads(await request.body())
                self.deploys.append(body["app_name"])
                await self._released("deploy", body["app_name"])
                return JSONResponse(_deployed(body))
            case "tasks":
                return JSONResponse({"tasks": self._listed(request.url.path.split("/")[-2])})
            case "health":
                return JSONResponse({"status": "healthy"})
            case task:
                self.polls[task].append(time.monotonic())
                return JSONResponse({"task_id": task, "error": None} | ANSWERS[self._phase(self.apps[task])])

    def _listed(self, workspace_id: str) -> list[dict[str, Any]]:
        return [
            {"task_id": task, "app_name": self.apps[task], "created_at": made_at}
            | ANSWERS[self._phase(self.apps[task])]
            for task, (workspace, made_at) in self.made.items()
            if workspace == workspace_id
        ]

    def _phase(self, app: str) -> str:
        return next((phase for name, phase in self.phases.items() if app.startswith(name)), self.default)

    async def _released(self, call: str, app: str) -> None:
        for name, event in list(self.held.items()):
            if f"{call}:{app}".startswith(name):
                await event.wait()


def _deployed(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "app_name": body["app_name"],
        "namespace": body["namespace"],
        "service_name": body["app_name"],
        "service_status": "found",
        "endpoint": f"{body['app_name']}.{body['namespace']}.svc.cluster.local",
        "enable_autoscaling": True,
        "use_spot": True,
        "error": None,
    }


@dataclass
class _Server:
    """A server that can be away for a while, and is found at the same address again."""

    app: Starlette
    port: int = 0

    async def start(self) -> str:
        """Listen; the URL."""
        listener = listen(port=self.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self.app, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        return url_of(listener)

    async def stop(self) -> None:
        """Close everything."""
        self._server.should_exit = True
        await self._task


@asynccontextmanager
async def paced_builder() -> AsyncIterator[PacedBuilder]:
    """Serve one."""
    builder = PacedBuilder()
    server = _Server(Starlette(routes=[Route("/{path:path}", builder.answer, methods=["GET", "POST"])]))
    builder.url, builder.stop, builder.start = await server.start(), server.stop, server.start
    try:
        yield builder
    finally:
        for event in builder.held.values():
            event.set()
        await server.stop()
