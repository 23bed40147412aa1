"""The whole gateway on a socket, so that it can be subscribed to and uploaded to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway import BASE_URL, NOBODY, Gateway
from tests.local.builder.stage import serving


@dataclass(frozen=True, slots=True)
class LiveGateway(Gateway):
    """A gateway that can also be subscribed to."""

    @asynccontextmanager
    async def events(self, query: str, **variables: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The results of a subscription, by server-sent events; they end when the server completes it."""
        body = {"query": query, "variables": variables}
        headers = {"accept": "text/event-stream"}
        async with self.client.stream("POST", "/graphql", json=body, headers=headers) as response:
            yield _results(response)

    async def upload(self, query: str, filename: str, content: bytes, **given: Any) -> Any:
        """The answer of a mutation whose `input.file` is an upload."""
        operations = json.dumps({"query": query, "variables": {"input": given | {"file": None}}})
        form = {"operations": operations, "map": json.dumps({"0": ["variables.input.file"]})}
        headers = {"graphql-require-preflight": "1"}
        response = await self.client.post("/graphql", data=form, files={"0": (filename, content)}, headers=headers)
        return response.json()


async def _results(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event = ""
    async for line in response.aiter_lines():
        if line.startswith("event:"):
            event = line.removeprefix("event:").strip()
        elif line.startswith("data:") and event == "next":
            yield json.loads(line.removeprefix("data:"))
        if event == "complete":
            return


@asynccontextmanager
async def live_gateway(settings: Settings, **overrides: Any) -> AsyncIterator[LiveGateway]:
    """Serve the gateway on the stores of `settings`; `overrides` are settings, and what is not given is down."""
    values = {
        "builder_service_url": NOBODY,
        "loki_service_url": NOBODY,
        "prometheus_service_url": NOBODY,
        "kubernetes_api_url": NOBODY,
        **overrides,
    }
    settings = settings.model_copy(update=values)
    app = create_app(settings, base_url=BASE_URL, draining=asyncio.Event())
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        yield LiveGateway(client, settings)
