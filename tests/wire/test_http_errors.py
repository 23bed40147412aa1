"""What is answered outside of GraphQL: by the whole application, of which nothing has to be open for it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from gateway.app import create_app
from gateway.settings import Settings
from tests.wire.conftest import error_of

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def application(*, explorer: bool = True) -> Starlette:
    """The application as it is served, closed."""
    settings = Settings(explorer=explorer)
    return create_app(settings, base_url="http://gateway", draining=asyncio.Event())


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize("path", ["/nope", "/graphql/x", "/graphql/explorer-assets/nope.js", "/"])
async def test_unknown_path_is_not_found_in_json(client: httpx.AsyncClient, path: str) -> None:
    """404 has a code like every other error."""
    response = await client.get(path)
    message = f"There is nothing at {path}; GraphQL is served at /graphql."
    assert error_of(response) == (404, "NOT_FOUND", message)
    assert response.json()["errors"][0]["extensions"]["retryable"] is False
    assert response.headers["content-type"] == "application/json"


async def test_wrong_method_is_refused_in_json(client: httpx.AsyncClient) -> None:
    """405 says which methods there are, in its header and in words."""
    response = await client.post("/livez")
    status, code, message = error_of(response)
    assert (status, code) == (405, "BAD_REQUEST")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert message == f"/livez is not served over POST, but over {response.headers['allow']}."


async def test_browsers_are_sent_to_the_explorer(client: httpx.AsyncClient) -> None:
    """Who types the host's name alone gets there."""
    response = await client.get("/", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")
    assert "Accept" in response.headers["vary"].split(", ")


async def test_browsers_are_sent_nowhere_without_the_explorer() -> None:
    """There is nothing to see then."""
    transport = httpx.ASGITransport(application(explorer=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert error_of(await client.get("/", headers=BROWSER))[:2] == (404, "NOT_FOUND")
