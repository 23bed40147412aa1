"""Whose pages may call and open sockets: CORS_ORIGINS over real sockets, HTTP and WebSockets by one rule."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from gateway.settings import SettingsError, load_settings
from tests.web.stage import Hall, opened_hall

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONSOLE = "https://console.example.com"


async def answers(hall: Hall, origin: str) -> tuple[str | None, str | None, bool]:
    """What a page is told by a preflight and by a query, and whether it may open a socket."""
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    preflight = await hall.client.options("/graphql", headers=asked)
    query = await hall.client.get("/graphql", params={"query": "{__typename}"}, headers={"origin": origin})
    assert preflight.status_code == (200 if "access-control-allow-origin" in preflight.headers else 400)
    assert query.json()["data"] == {"__typename": "Query"}
    told = [response.headers.get("access-control-allow-origin") for response in (preflight, query)]
    return told[0], told[1], await opens_socket(hall, origin)


async def opens_socket(hall: Hall, origin: str) -> bool:
    """Whether the handshake of a page ends well; it is 403 otherwise."""
    url = hall.url.replace("http", "ws") + "/graphql"
    spoken = [Subprotocol("graphql-transport-ws")]
    try:
        async with connect(url, origin=Origin(origin), subprotocols=spoken, proxy=None):
            return True
    except InvalidStatus as refused:
        return refused.response.status_code != 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:5173",
        "http://localhost",
        "https://localhost:8443",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
    ],
)
async def test_pages_of_this_machine_may_call_by_default(hall: Hall, origin: str) -> None:
    """Whatever their port; the answer names the page alone."""
    assert await answers(hall, origin) == (origin, origin, True)


@pytest.mark.parametrize(
    "origin",
    [
        CONSOLE,
        "null",
        "http://localhost.evil.example.com",
        "http://localhost:1.evil.example.com",
        "http://evil.example.com:80/http://localhost:1",
        "http://127.0.0.1.evil.example.com:1",
        "http://127a0b0c1:1",
        "ftp://localhost:1",
    ],
)
async def test_no_other_page_may_call_by_default(hall: Hall, origin: str) -> None:
    """Nobody is authenticated: any page could do everything that its visitor can."""
    assert await answers(hall, origin) == (None, None, False)


async def test_page_of_the_gateway_itself_may_open_sockets(hall: Hall) -> None:
    """The explorer's origin need not be named, whatever host it was loaded from."""
    assert await opens_socket(hall, hall.url)


async def test_named_origins_may_call(aws_server: str) -> None:
    """Exactly those, however they are written; one with `*` on any port, and nothing of the default."""
    entries = ("HTTPS://Console.Example.com:443", "http://a.example.com:8080", "https://b.example.com:*")
    async with opened_hall(aws_server, cors_origins=entries) as hall:
        for origin in (CONSOLE, "http://a.example.com:8080", "https://b.example.com", "https://b.example.com:1"):
            assert await answers(hall, origin) == (origin, origin, True)
        for origin in (
            "http://console.example.com",
            f"{CONSOLE}:8443",
            "http://a.example.com",
            "http://b.example.com:1",
            "http://localhost:3000",
        ):
            assert await answers(hall, origin) == (None, None, False)


async def test_any_page_may_call_where_a_star_says_so(aws_server: str) -> None:
    """The answers are the same for all pages, so that caches may keep them."""
    async with opened_hall(aws_server, cors_origins=("*",)) as hall:
        for origin in (CONSOLE, "null"):
            assert await answers(hall, origin) == ("*", "*", True)


async def test_no_page_may_call_where_none_is_named(aws_server: str) -> None:
    """An empty list is none, an empty origin included."""
    async with opened_hall(aws_server, cors_origins=()) as hall:
        for origin in (CONSOLE, ""):
            assert (await answers(hall, origin))[:2] == (None, None)


@pytest.mark.parametrize(
    "entry",
    [
        "console.example.com",
        "https://console.example.com/",
        "https://console.example.com/app",
        "https://*.example.com",
        "https://user@example.com",
        "https://example.com:",
        "https://example.com:http",
        "https://b\u00fccher.de",
        "ws://example.com",
        "localhost:*",
        "null",
    ],
)
async def test_settings_when_an_origin_is_malformed(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    """What no browser would send ends the start with one line that names the setting and the entry."""
    monkeypatch.setenv("CORS_ORIGINS", f"{CONSOLE},{entry}")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value) == (
        f"CORS_ORIGINS: {entry!r} is no origin such as https://console.example.com or http://localhost:* "
        f"(got {f'{CONSOLE},{entry}'!r})"
    )
