"""The schema in the definition language over HTTP, for code generators and for reading.

The text is handed in: what serves HTTP knows no schema. Where introspection is off there is none.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.web.conditional import etag_of, is_known

SDL_PATH = "/schema.graphql"


def sdl_route(text: str | None) -> Route:
    """Make the route; without a text it answers 404 and says why.

    It is text/plain, which browsers show: SDL has no registered media type, and application/graphql means a query.
    """
    body = text.encode() if text is not None else b""
    headers = {
        "cache-control": "no-cache",  # kept and revalidated: it changes with a release, and no sooner
        "etag": etag_of(body),
        "x-content-type-options": "nosniff",
    }

    async def sdl(request: Request) -> Response:
        if text is None:
            raise HTTPException(404, "The schema is not published here: INTROSPECTION is off.")
        if is_known(request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="text/plain")

    return Route(SDL_PATH, sdl, methods=["GET"])
