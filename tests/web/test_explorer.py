"""The explorer over HTTP: what the page may load, how its assets are sent; and what its tabs ask for."""

import ast
import base64
import gzip
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from graphql.execution import get_variable_values
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.web.explorer import ASSETS_PATH, explorer_page, explorer_routes

ROOT = Path(__file__).parents[2]
WALK = ROOT / "gateway" / "web" / "explorer" / "src" / "walk"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that has the explorer and nothing else."""
    app = Starlette(routes=[Route("/graphql", explorer_page), *explorer_routes()])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example:8000") as client:
        yield client


async def _linked_assets(client: httpx.AsyncClient) -> list[str]:
    html = (await client.get("/graphql")).text
    return re.findall(r'(?:src|href)="([^"]+)"', html)


async def test_page_headers(client: httpx.AsyncClient) -> None:
    """The page loads from its own origin only, runs no inline script, and is never framed."""
    headers = (await client.get("/graphql")).headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; "
        "connect-src 'self' ws://gateway.example:8000 wss://gateway.example:8000; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("host", ["a.example; script-src *", "a.example *", "[::1]:8000", ""])
async def test_policy_is_unchanged_when_the_host_is_no_name(client: httpx.AsyncClient, host: str) -> None:
    """A Host header can't add to the policy, and one that CSP has no grammar for is left out."""
    policy = (await client.get("/graphql", headers={"host": host})).headers["content-security-policy"]
    assert "connect-src 'self'; base-uri" in policy
    assert "*" not in policy


async def test_page_is_revalidated(client: httpx.AsyncClient) -> None:
    """A browser that has the page gets 304 with the policy and no body."""
    first = await client.get("/graphql")
    again = await client.get("/graphql", headers={"if-none-match": f"W/{first.headers['etag']}"})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    stale = await client.get("/graphql", headers={"if-none-match": '"another"'})
    assert stale.status_code == 200


async def test_page_names_no_other_origin(client: httpx.AsyncClient) -> None:
    """Everything the page links to is an asset below the page's own address, and it has no inline script."""
    response = await client.get("/graphql")
    links = await _linked_assets(client)
    assert len(links) >= 3
    assert all(re.fullmatch(r"graphql/explorer-assets/[\w.-]+", link) for link in links)
    assert "://" not in response.text
    assert re.findall(r"<script(?![^>]*\ssrc=)", response.text) == []
    assert "<style" not in response.text


async def test_linked_assets_are_packed_and_cached_for_ever(client: httpx.AsyncClient) -> None:
    """Each linked asset comes gzipped, with its type, and may be kept for a year: its name has its hash."""
    types = set()
    for link in await _linked_assets(client):
        response = await client.get(f"/{link}", headers={"accept-encoding": "br, gzip;q=0.5"})
        assert response.status_code == 200
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["vary"] == "Accept-Encoding"
        assert response.headers["x-content-type-options"] == "nosniff"
        types.add(response.headers["content-type"])
    assert types == {"image/svg+xml", "text/javascript; charset=utf-8", "text/css; charset=utf-8"}


@pytest.mark.parametrize("encoding", ["", "identity", "gzip;q=0", "br, gzip;q=0, *"])
async def test_asset_is_unpacked_when_gzip_is_not_accepted(client: httpx.AsyncClient, encoding: str) -> None:
    """A client without gzip gets the same bytes, under another ETag."""
    link = next(link for link in await _linked_assets(client) if link.endswith(".js"))
    plain = await client.get(f"/{link}", headers={"accept-encoding": encoding})
    packed = await client.get(f"/{link}", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content
    stored = ROOT / "gateway" / "web" / "explorer" / "static" / "assets" / (Path(link).name + ".gz")
    assert plain.content == gzip.decompress(stored.read_bytes())
    assert plain.headers["etag"] != packed.headers["etag"]


async def test_asset_is_not_sent_again_when_known(client: httpx.AsyncClient) -> None:
    """If-None-Match with the packed asset's ETag is 304, for GET and HEAD."""
    link = next(link for link in await _linked_assets(client) if link.endswith(".css"))
    etag = (await client.get(f"/{link}", headers={"accept-encoding": "gzip"})).headers["etag"]
    for method in ("GET", "HEAD"):
        headers = {"accept-encoding": "gzip", "if-none-match": f'"other", {etag}'}
        response = await client.request(method, f"/{link}", headers=headers)
        assert (response.status_code, response.content) == (304, b"")


async def test_head_has_the_headers_of_get(client: httpx.AsyncClient) -> None:
    """HEAD answers with GET's headers and no body: the page, and assets packed, unpacked and never packed."""
    font = next((ROOT / "gateway/web/explorer/static/assets").glob("*.woff2")).name
    links = [*await _linked_assets(client), f"graphql/explorer-assets/{font}"]
    for link in ["graphql", *links]:
        for encoding in ("gzip", "identity"):
            headers = {"accept-encoding": encoding}
            got = await client.get(f"/{link}", headers=headers)
            head = await client.head(f"/{link}", headers=headers)
            assert head.content == b""
            assert head.headers == got.headers


async def test_fonts_are_not_packed(client: httpx.AsyncClient) -> None:
    """A font is compressed by its own format: no Content-Encoding, and nothing to vary on."""
    font = next((ROOT / "gateway/web/explorer/static/assets").glob("*.woff2"))
    response = await client.get(f"{ASSETS_PATH}/{font.name}", headers={"accept-encoding": "gzip"})
    assert response.headers["content-type"] == "font/woff2"
    assert "content-encoding" not in response.headers
    assert "vary" not in response.headers
    assert response.content == font.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "absent.js",
        "",
        "%2e%2e",
        "../index.html",
        "..%2findex.html",
        "%2e%2e%2f%2e%2e%2f__init__.py",
        "..%5c..%5cexplorer.py",
        "%2fetc%2fpasswd",
        "index.html",
    ],
)
async def test_nothing_but_assets_is_served(client: httpx.AsyncClient, path: str) -> None:
    """A path that is not an asset's name is 404, however it is spelled."""
    assert (await client.get(f"{ASSETS_PATH}/{path}")).status_code == 404


async def test_asset_refuses_other_methods(client: httpx.AsyncClient) -> None:
    """Assets are read only."""
    link = (await _linked_assets(client))[0]
    assert (await client.post(f"/{link}")).status_code == 405


def test_built_code_loads_nothing_from_elsewhere() -> None:
    """The built assets import from beside themselves only, and evaluate no text as code."""
    assets = (ROOT / "gateway/web/explorer/static/assets").glob("*.gz")
    texts = {path.name: gzip.decompress(path.read_bytes()).decode("utf-8", "replace") for path in assets}
    scripts = [text for name, text in texts.items() if name.endswith(".js.gz")]
    styles = [text for name, text in texts.items() if name.endswith(".css.gz")]
    assert len(scripts) > 5
    for text in scripts:
        assert not re.search(r"""(?:from|import\s*\(?)\s*["'`]https?://""", text)
        assert not re.search(r"\bnew Function\(|(?<![.\w])eval\(", text)
    for text in styles:
        assert not re.search(r"""url\(["']?(?:https?:)?//|@import""", text)


@pytest.mark.parametrize("path", sorted(WALK.glob("*.graphql")), ids=lambda path: path.stem)
def test_tab_is_valid_against_the_schema(path: Path) -> None:
    """Each tab of the walk is one named operation that the schema accepts, with variables of the right types."""
    schema = build_schema((ROOT / "schema" / "schema.graphql").read_text())
    document = parse(path.read_text())
    assert validate(schema, document) == []
    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None
    stored = path.with_suffix(".json")
    variables = json.loads(stored.read_text()) if stored.exists() else {}
    definitions = operation.variable_definitions or ()
    assert set(variables) == {definition.variable.name.value for definition in definitions}
    coerced = get_variable_values(schema, definitions, variables)
    assert not isinstance(coerced, list)


def test_function_of_the_walk_is_the_source_that_its_tab_shows() -> None:
    """The Base64 in the second tab's variables is the Python that its comment shows, an IncomingHandler."""
    code = json.loads((WALK / "2-create-function.json").read_text())["code"]
    source = base64.b64decode(code, validate=True).decode()
    shown = re.findall(r"^#\|(.*)$", (WALK / "2-create-function.graphql").read_text(), re.MULTILINE)
    assert source == "\n".join(shown) + "\n"
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert classes == ["IncomingHandler"]
