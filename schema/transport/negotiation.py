"""What the client accepts, and so how it is answered: GraphQL over HTTP, section "Accept"; RFC 9110, 12.5.1."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

GRAPHQL_JSON: Final = "application/graphql-response+json"
JSON: Final = "application/json"

Kind = Literal["json", "graphql", "sse", "multipart-subscription", "html"]
StreamKind = Literal["sse", "multipart-subscription"]

_MEDIA_TYPES: dict[str, Kind] = {
    GRAPHQL_JSON: "graphql",
    JSON: "json",
    "application/*": "json",
    "*/*": "json",
    "text/event-stream": "sse",
    # With a subscriptionSpec parameter it is a stream; otherwise incremental delivery, which can be plain JSON.
    "multipart/mixed": "json",
    "text/html": "html",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The kinds of answer a client takes, the preferred one first."""

    kinds: tuple[Kind, ...]

    @property
    def is_served(self) -> bool:
        """Whether any kind of GraphQL answer will do."""
        return any(kind != "html" for kind in self.kinds)

    @property
    def prefers_html(self) -> bool:
        """Whether it is a browser that navigates here."""
        return self.kinds[:1] == ("html",)

    @property
    def preferred_stream(self) -> StreamKind | None:
        """The kind of stream to answer with whatever the operation is; clients list it first then."""
        first = next((kind for kind in self.kinds if kind != "html"), None)
        return first if first in ("sse", "multipart-subscription") else None

    @property
    def stream(self) -> StreamKind | None:
        """The kind of stream to answer a subscription with."""
        return next((kind for kind in self.kinds if kind in ("sse", "multipart-subscription")), None)

    @property
    def media_type(self) -> str:
        """The media type of an answer that is not a stream."""
        plain = next((kind for kind in self.kinds if kind in ("json", "graphql")), "json")
        return GRAPHQL_JSON if plain == "graphql" else JSON


@lru_cache(maxsize=64)  # clients send a few different ones, over and over
def negotiate(accept: str) -> Accepted:
    """Read an Accept header; without one everything is welcome, which means application/json."""
    if not accept.strip():
        return Accepted(("json",))
    weighted: list[tuple[float, Kind]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        kind = _MEDIA_TYPES.get(media_type)
        quality = _quality(parameters)
        if kind is None or quality <= 0:
            continue
        if media_type == "multipart/mixed" and any(p.startswith("subscriptionspec=") for p in parameters):
            kind = "multipart-subscription"
        weighted.append((quality, kind))
    weighted.sort(key=lambda pair: -pair[0])
    return Accepted(tuple(dict.fromkeys(kind for _, kind in weighted)))


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 1.0
    return 1.0
