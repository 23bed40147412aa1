"""The whole gateway in this process, on a table and bucket of its own; what is not given does not answer."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from gateway.app import create_app
from gateway.records.clock import system_clock
from gateway.settings import Settings
from tests.stores import prepared_settings

NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""
SOURCE = b"from spin_sdk import http\n"
BASE_URL = "http://gateway.example.com"

CREATE_WORKSPACE = """mutation ($input: CreateWorkspaceInput!) {
  createWorkspace(input: $input) { workspace { id } }
}"""
CREATE_FUNCTION = """mutation ($input: CreateFunctionInput!) {
  createFunction(input: $input) { function { id } }
}"""
UPDATE_FUNCTION = """mutation ($input: UpdateFunctionInput!) {
  updateFunction(input: $input) { function { id } }
}"""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway to send operations to."""

    client: httpx.AsyncClient
    settings: Settings

    async def answer(self, query: str, **variables: Any) -> Any:
        """The whole answer of an operation."""
        response = await self.client.post("/graphql", json={"query": query, "variables": variables})
        return response.json()

    async def data(self, query: str, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def error(self, query: str, **variables: Any) -> Any:
        """The one error of an operation."""
        answer = await self.answer(query, **variables)
        (error,) = answer["errors"]
        return error

    async def create_workspace(self, name: str = "Shop", **values: Any) -> str:
        """The id of a new workspace."""
        created = await self.data(CREATE_WORKSPACE, input={"name": name, **values})
        id_: str = created["createWorkspace"]["workspace"]["id"]
        return id_

    async def create_function(self, workspace_id: str, name: str = "hello", **values: Any) -> str:
        """The id of a new function."""
        code = base64.b64encode(SOURCE).decode()
        given = {"workspaceId": workspace_id, "name": name, "code": code, **values}
        created = await self.data(CREATE_FUNCTION, input=given)
        id_: str = created["createFunction"]["function"]["id"]
        return id_


@asynccontextmanager
async def running_gateway(
    aws_url: str, *, clock: Callable[[], datetime] = system_clock, **overrides: Any
) -> AsyncIterator[Gateway]:
    """Run the gateway; `overrides` are settings."""
    stores = await prepared_settings(aws_url)
    values = {
        "builder_service_url": NOBODY,
        "loki_service_url": NOBODY,
        "prometheus_service_url": NOBODY,
        "kubernetes_api_url": NOBODY,
        **overrides,
    }
    async with _served(stores.model_copy(update=values), clock) as gateway:
        yield gateway


@asynccontextmanager
async def on_the_same_table(
    gateway: Gateway, *, clock: Callable[[], datetime] = system_clock
) -> AsyncIterator[Gateway]:
    """Run another gateway with the settings of one, as a second replica."""
    async with _served(gateway.settings, clock) as other:
        yield other


@asynccontextmanager
async def _served(settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[Gateway]:
    app = create_app(settings, base_url=BASE_URL, draining=asyncio.Event(), clock=clock)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=30) as client,
    ):
        yield Gateway(client, settings)
