"""Subscribers to builds over graphql-transport-ws, light enough to have hundreds of in one process."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PROGRESS = """subscription ($id: ID!, $after: Int) {
  buildProgress(id: $id, after: $after) { sequence status at build { id error } }
}"""
WORKSPACE_BUILDS = """subscription ($id: ID!) {
  workspaceBuilds(workspaceId: $id) { sequence status at build { id error } }
}"""


@dataclass
class Watcher:
    """What one subscriber has seen, over any number of connections."""

    query: str
    variables: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    """From each change to its arrival."""
    completed: bool = False
    closed: int | None = None
    """The code that the server closed the last connection with."""

    @property
    def sequences(self) -> list[int]:
        """The sequence numbers, as they came."""
        return [event["sequence"] for event in self.events]

    @property
    def statuses(self) -> list[str]:
        """The statuses, as they came."""
        return [event["status"] for event in self.events]

    async def follow(self, url: str, *, most: int | None = None) -> None:
        """Connect, from where it was before, until the end, or until so many events were seen in all."""
        self.closed = None
        if "after" in self.variables and self.events:
            self.variables["after"] = self.sequences[-1]
        try:
            async with opened(url) as socket:
                payload = {"query": self.query, "variables": self.variables}
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
                while not self.completed and (most is None or len(self.events) < most):
                    self._take(json.loads(await socket.recv()))
        except ConnectionClosed as error:
            self.closed = error.rcvd.code if error.rcvd is not None else None

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "complete":
            self.completed = True
            return
        assert message["type"] == "next", message
        (event,) = message["payload"]["data"].values()
        self.events.append(event)
        self.delays_s.append(time.time() - datetime.fromisoformat(event["at"]).timestamp())


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[ClientConnection]:
    """An acknowledged connection."""
    address = f"ws{url.removeprefix('http')}/graphql"
    protocols = [Subprotocol("graphql-transport-ws")]
    async with connect(address, subprotocols=protocols, proxy=None, open_timeout=30, compression=None) as socket:
        await socket.send('{"type":"connection_init"}')
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        yield socket


def watch(build_id: str, after: int | None = 0) -> Watcher:
    """A subscriber to one build."""
    return Watcher(PROGRESS, {"id": build_id, "after": after})


def watch_workspace(workspace_id: str) -> Watcher:
    """A subscriber to all builds of a workspace."""
    return Watcher(WORKSPACE_BUILDS, {"id": workspace_id})
