"""The explorer's HTTP: the page browsers get at /graphql, and its assets.

What is served is built from the sources in the folder `explorer/` beside this file into `explorer/static/`
(`make explorer`): `index.html`, and `assets/` whose names carry a hash of their content, so that they may be
cached for ever. Text assets are kept gzipped. Which requests to /graphql get the page is the GraphQL endpoint's to
say: it negotiates all that is answered there.
"""

import asyncio
import gzip
import re
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.web.conditional import etag_of, is_known

ASSETS_PATH = "/graphql/explorer-assets"
_STATIC = Path(__file__).parent / "explorer" / "static"
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
# A host that may stand in a policy: a name or an IPv4 address. IPv6 literals have no place in CSP's grammar.
_POLICY_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


def explorer_routes() -> list[Route]:
    """The assets, and the way in from `/`; the page itself shares /graphql with the API, see `explorer_page`."""
    return [
        Route(ASSETS_PATH + "/{name}", _asset, methods=["GET"]),
        Route("/", _way_in, methods=["GET"]),
    ]


def explorer_page(request: Request) -> Response:
    """The explorer as an HTML page that is revalidated every time, or 304 where the browser has it already."""
    body, etag = _page()
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": _content_security_policy(request.headers.get("host", "")),
        "cross-origin-opener-policy": "same-origin",
        "etag": etag,
        "referrer-policy": "no-referrer",
        "vary": "Accept",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="text/html")


def _content_security_policy(host: str) -> str:
    """What the page may load: its own origin only, `host` being the request's Host header.

    Monaco makes <style> elements and style attributes as it goes and offers no nonce for either
    (microsoft/monaco-editor#271), hence 'unsafe-inline' for styles; its stylesheet has images in data: URLs.
    Not every browser takes 'self' to cover WebSockets (w3c/webappsec-csp#7), so the origin's own are named.
    """
    sockets = f" ws://{host} wss://{host}" if _POLICY_HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


async def _way_in(request: Request) -> Response:
    """Send browsers to the explorer; for everybody else there is nothing here."""
    if "text/html" not in request.headers.get("accept", "").lower():
        raise HTTPException(404)
    return RedirectResponse("/graphql", headers={"vary": "Accept"})


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    stored = _assets().get(name)
    if stored is None:
        raise HTTPException(404)
    is_packed = stored.suffix == ".gz"
    sends_packed = is_packed and _takes_gzip(request.headers.get("accept-encoding", ""))
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        # A worker has the policy of its own script: it may import its other chunks and nothing else.
        "content-security-policy": "default-src 'none'; script-src 'self'",
        "cross-origin-resource-policy": "same-origin",
        "etag": f'"{name}-gzip"' if sends_packed else f'"{name}"',
        "x-content-type-options": "nosniff",
    }
    if is_packed:
        headers["vary"] = "Accept-Encoding"
    if sends_packed:
        headers["content-encoding"] = "gzip"
    if is_known(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    media_type = _MEDIA_TYPES[Path(name).suffix]
    if is_packed and not sends_packed:
        body = await asyncio.to_thread(lambda: gzip.decompress(stored.read_bytes()))
        return Response(body, headers=headers, media_type=media_type)
    return FileResponse(stored, headers=headers, media_type=media_type)


@cache
def _page() -> tuple[bytes, str]:
    body = (_STATIC / "index.html").read_bytes()
    return body, etag_of(body)


@cache
def _assets() -> dict[str, Path]:
    """Each asset's file by the name it is asked for; what is not in here does not exist."""
    return {path.name.removesuffix(".gz"): path for path in (_STATIC / "assets").iterdir()}


def _takes_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header takes gzip, by its name before `*` (RFC 9110, 12.5.3)."""
    weights = {}
    for part in header.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weights[coding] = not any(re.fullmatch(r"q\s*=\s*0(\.0*)?", parameter) for parameter in parameters)
    return weights.get("gzip", weights.get("*", False))
