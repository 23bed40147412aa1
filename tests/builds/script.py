"""A Builder Service that says what a test tells it to."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.local.builder.stage import serving

ACCEPTED = (202, {"task_id": "task-1", "status": "pending", "source_s3_path": "s3://b/source.zip"})


@dataclass
class ScriptedBuilder:
    """A Builder Service that answers what a test put in; the last answer of a kind is given again and again.

    An answer is a status and a body: a dict or list is JSON, a text is plain text.
    """

    url: str = ""
    upload: tuple[int, Any] = ACCEPTED
    tasks: deque[tuple[int, Any]] = field(default_factory=deque)
    listed: tuple[int, Any] = (200, {"workspace_id": "", "tasks": [], "count": 0})
    deploys: deque[tuple[int, Any]] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    released: asyncio.Event | None = None
    """While it is there and not set, calls are not answered."""

    def reset(self) -> None:
        """Forget everything but the address."""
        self.__init__(url=self.url)  # type: ignore[misc]  # a fresh start, field by field

    def says(self, status: str, **more: Any) -> None:
        """The next answer about a task."""
        self.tasks.append((200, {"task_id": "task-1", "status": status, "result": None, "error": None} | more))

    def deployed(self, endpoint: str | None = None, **more: Any) -> None:
        """The next answer to a deploy; with None as `app_name` it is the one that was asked for."""
        answer = {
            "app_name": "hello",
            "namespace": "default",
            "service_name": "hello",
            "service_status": "found" if endpoint else "not_found",
            "endpoint": endpoint,
            "enable_autoscaling": True,
            "use_spot": True,
            "error": None,
        }
        self.deploys.append((200, answer | more))

    async def answer(self, request: Request) -> Response:
        """Any call."""
        self.calls.append(f"{request.method} {request.url.path}?{request.url.query}".rstrip("?"))
        if request.url.path.endswith("/deploy"):
            await request.body()  # at once, so that its caller may go away
        if self.released is not None:
            await self.released.wait()
        match request.url.path.rsplit("/", 1)[-1]:
            case "build" | "build-and-push":
                try:
                    async with request.form() as form:
                        file = form["file"]
                        assert isinstance(file, UploadFile)
                        self.forms.append({**form, "file": (file.filename, await file.read())})
                except ClientDisconnect:  # before the end of the body: nothing was accepted, and nobody listens
                    return Response(status_code=400)
                return _respond(self.upload)
            case "deploy" | "scaffold" | "push":
                self.bodies.append(body := json.loads(await request.body()))
                status, answer = _next(self.deploys)
                if isinstance(answer, dict) and "app_name" in answer:
                    answer = answer | {"app_name": answer["app_name"] or body.get("app_name")}
                return _respond((status, answer))
            case "tasks":
                return _respond(self.listed)
            case "health":
                return _respond((200, {"status": "healthy"}))
            case _:
                return _respond(_next(self.tasks))


def _next(answers: deque[tuple[int, Any]]) -> tuple[int, Any]:
    return answers.popleft() if len(answers) > 1 else answers[0]


def _respond(answer: tuple[int, Any]) -> Response:
    status, body = answer
    return PlainTextResponse(body, status) if isinstance(body, str) else JSONResponse(body, status)


@asynccontextmanager
async def scripted_builder() -> AsyncIterator[ScriptedBuilder]:
    """Serve one."""
    script = ScriptedBuilder()
    app = Starlette(routes=[Route("/{path:path}", script.answer, methods=["GET", "POST"])])
    async with serving(app) as url:
        script.url = url
        yield script
