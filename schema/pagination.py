"""Connections: pages with cursors. A cursor is opaque to clients and bound to the list it came from."""

import base64
import binascii
import zlib
from collections.abc import Callable
from typing import Generic, Self, TypeVar

import strawberry

from gateway.errors import InvalidInputError
from gateway.records.pages import Page

Node = TypeVar("Node")
Record = TypeVar("Record")

MAX_FIRST = 100
"""Rows of a page; what GitHub and others allow."""
MAX_FIRST_LOGS = 1000
"""Log lines are small, and the former backend gave up to 1,000."""
MAX_CURSOR_CHARACTERS = 1024
"""Far above any cursor of ours; what is longer was not made here."""
CHECKSUM_BYTES = 4
"""Of CRC-32, which tells every change of up to four bytes in a row, and of the others all but one in 4 billion."""


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's page information."""

    has_next_page: bool = strawberry.field(description="Whether more items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether items precede this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item, null on an empty page.")
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last item: pass it as `after` to get the next page. Where a filter matches "
        "little, or bodies are large, a page may have fewer items than asked for, even none, and a next page: "
        "this leads there."
    )


@strawberry.type(description="An item and its cursor.")
class Edge(Generic[Node]):
    """An item of a connection."""

    cursor: str = strawberry.field(description="Pass it as `after` to get what follows this item.")
    node: Node = strawberry.field(description="The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    """A page of a list, as Relay has it."""

    edges: list[Edge[Node]] = strawberry.field(description="The items with their cursors.")
    nodes: list[Node] = strawberry.field(description="The items, for clients that need no cursor on each.")
    page_info: PageInfo = strawberry.field(description="Whether there is more, and how to get it.")

    @classmethod
    def from_page(cls, page: Page[Record], kind: str, convert: Callable[[Record], Node]) -> Self:
        """Make the connection of a page; `kind` is the list that its cursors are bound to."""
        nodes = [convert(item) for item in page.items]
        cursors = [encode_cursor(kind, position) for position in page.positions]
        return cls(
            edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
            nodes=nodes,
            page_info=PageInfo(
                has_next_page=page.has_next,
                has_previous_page=page.has_previous,
                start_cursor=cursors[0] if cursors else None,
                end_cursor=None if page.end is None else encode_cursor(kind, page.end),
            ),
        )


def encode_cursor(kind: str, position: str) -> str:
    """Make a cursor for a position in the list `kind`, such as `functions:ws-12345678`.

    It begins with a checksum: what was cut or mistyped would lead to another place in the list.
    """
    content = f"{kind}\n{position}".encode()
    checksum = zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "big")
    return base64.urlsafe_b64encode(checksum + content).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str | None, *, field: str = "after") -> str | None:
    """Read the position back; a cursor that is not one, or is of another list, is an InvalidInputError."""
    if cursor is None:
        return None
    if len(cursor) <= MAX_CURSOR_CHARACTERS:
        try:
            content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            text = content[CHECKSUM_BYTES:].decode()
        except (binascii.Error, ValueError):
            text = ""
        found, separator, position = text.partition("\n")
        # Base64 can be written in several ways, with `=` behind it or with other bits after the last: one is ours.
        if separator and found == kind and position and encode_cursor(kind, position) == cursor:
            return position
    raise InvalidInputError(
        f"{field} is not a cursor of this list; pass the endCursor of an earlier page of it.", field=field
    )


def check_first(first: int, *, maximum: int = MAX_FIRST) -> int:
    """Refuse a page size outside 1 to `maximum`."""
    if not 1 <= first <= maximum:
        raise InvalidInputError(f"first must be 1 to {maximum}; it is {first}.", field="first")
    return first
