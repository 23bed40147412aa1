"""Answers as a builder in trouble gives them: late, or a crash in plain text."""

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.local.builder.config import Faults


class FaultyAnswers:
    """Stands before the routes."""

    def __init__(self, app: ASGIApp, *, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, in the way that is set at this moment."""
        if scope["type"] == "http":
            if self._faults.answer_delay_s:
                await asyncio.sleep(self._faults.answer_delay_s)
            if self._faults.crashing.intersection(scope["path"].split("/")):
                await PlainTextResponse("Internal Server Error", 500)(scope, receive, send)
                return
        await self._app(scope, receive, send)
