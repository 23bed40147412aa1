"""The schema at /schema.graphql: its bytes, how it is revalidated, and that it goes with introspection."""

import asyncio
from pathlib import Path

import httpx
import pytest

from gateway.app import create_app
from gateway.settings import Settings
from tests.web.stage import Hall

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/schema.graphql"
COMMITTED = Path(__file__).parents[2] / "schema" / "schema.graphql"


async def test_sdl_is_the_committed_one(hall: Hall) -> None:
    """Byte for byte what `blue-gateway schema` prints and the repository has, as text that browsers show."""
    response = await hall.client.get(PATH)
    assert response.status_code == 200
    assert response.content == COMMITTED.read_bytes()
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_sdl_is_not_sent_again_when_known(hall: Hall, method: str) -> None:
    """If-None-Match with its ETag is 304 without a body; with another one it is sent."""
    etag = (await hall.client.get(PATH)).headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        response = await hall.client.request(method, PATH, headers={"if-none-match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    response = await hall.client.request(method, PATH, headers={"if-none-match": '"other"'})
    assert (response.status_code, response.headers["etag"]) == (200, etag)


async def test_head_has_the_headers_of_get(hall: Hall) -> None:
    """HEAD says the length, and sends nothing."""
    head = await hall.client.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(COMMITTED.stat().st_size)


async def test_sdl_is_readable_from_other_origins(hall: Hall) -> None:
    """A tool in a browser may read it, as it may query."""
    response = await hall.client.get(PATH, headers={"origin": "http://localhost:3000"})
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"


async def test_sdl_is_read_only(hall: Hall) -> None:
    """Other methods are 405, in JSON like every error."""
    response = await hall.client.post(PATH)
    assert (response.status_code, set(response.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "*"}])
async def test_sdl_is_absent_when_introspection_is_off(headers: dict[str, str]) -> None:
    """404 that names the setting, whatever the client says it knows."""
    app = create_app(Settings(introspection=False), base_url="http://gateway", draining=asyncio.Event())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        response = await client.get(PATH, headers=headers)
    assert response.status_code == 404
    extensions = {"code": "NOT_FOUND", "retryable": False}
    message = "The schema is not published here: INTROSPECTION is off."
    assert response.json() == {"errors": [{"message": message, "extensions": extensions}]}
