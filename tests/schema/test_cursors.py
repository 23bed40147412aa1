"""Cursors and pages for any rows, page size, filter and interruption: a property, not a list of cases."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidInputError
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import QueryPage, Table
from schema.pagination import decode_cursor, encode_cursor

IDS = st.text(st.sampled_from("abcXYZ019-"), min_size=1, max_size=6)


class SortedRows:
    """A partition that answers queries as DynamoDB does, a few rows at a time, whatever the limit."""

    def __init__(self, keys: Sequence[str], sizes: Sequence[int], *, forward: bool) -> None:
        self.keys = sorted(keys, reverse=not forward)
        self.sizes = sizes
        self.queries = 0

    async def query(
        self, _: object, *, limit: int, start_key: Mapping[str, Any] | None, **_more: object
    ) -> QueryPage:
        """The next rows; the test sees to the range itself, by `low` and `high`."""
        start = 0 if start_key is None else self.keys.index(start_key["SK"]["S"]) + 1
        size = min(limit, self.sizes[self.queries % len(self.sizes)])
        self.queries += 1
        taken = self.keys[start : start + size]
        more = start + size < len(self.keys)
        last = {"PK": {"S": "WS#a"}, "SK": {"S": taken[-1]}} if more else None
        return QueryPage(items=tuple({"PK": "WS#a", "SK": key} for key in taken), last_key=last)


@given(
    ids=st.sets(IDS, max_size=60),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    first=st.integers(1, 12),
    forward=st.booleans(),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_walk_gives_every_row_once_in_order(
    ids: set[str], sizes: list[int], first: int, forward: bool, data: st.DataObject
) -> None:
    """Whatever pages DynamoDB makes of the rows and whatever is wanted of them, a walk has each once, in order."""
    wanted = data.draw(st.sets(st.sampled_from(sorted(ids)))) if ids else set()
    rows = RowRange(partition="WS#a", low="FN#", high="FN#~", forward=forward)
    keys = [f"FN#{id_}" for id_ in ids]

    async def walk() -> list[str]:
        seen: list[str] = []
        after = None
        while True:
            left = rows.after(after)
            table = SortedRows([key for key in keys if left.low <= key <= left.high], sizes, forward=forward)
            page = await read_page(
                cast("Table", table),
                rows,
                first=first,
                after=after,
                convert=lambda item: item["SK"][3:] if item["SK"][3:] in wanted else None,
                filters=True,
            )
            assert len(page.items) <= first
            assert len(page.items) == first or not page.has_next or page.reached is not None
            seen += page.items
            if not page.has_next:
                return seen
            assert page.end is not None
            after = decode_cursor("functions:a", encode_cursor("functions:a", page.end))

    assert asyncio.run(walk()) == sorted(wanted, reverse=not forward)


@given(
    position=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    kind=st.text("ab:-", min_size=1),
)
def test_cursor_comes_back_in_its_own_list_alone(position: str, kind: str) -> None:
    """A cursor leads back to its position, and in any other list it is refused."""
    cursor = encode_cursor(kind, position)
    assert decode_cursor(kind, cursor) == position
    with pytest.raises(InvalidInputError):
        decode_cursor(kind + "x", cursor)


@given(cursor=st.text(max_size=80))
def test_cursor_when_it_is_any_text(cursor: str) -> None:
    """What is no cursor of the list is refused, never an accident."""
    with pytest.raises(InvalidInputError):
        decode_cursor("functions:ws-00000001", cursor)


@given(kind=st.text("ab:-", min_size=1, max_size=30), id_=IDS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_cursor_when_a_character_is_wrong(kind: str, id_: str, data: st.DataObject) -> None:
    """One character changed, left out or put in: it is refused, and leads to no other place in the list."""
    cursor = encode_cursor(kind, f"FN#fn-{id_}")
    at = data.draw(st.integers(0, len(cursor)))
    changed = [cursor[:at] + cursor[at + 1 :]] if at < len(cursor) else []
    for character in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n\u00e9":
        changed += [cursor[:at] + character + cursor[at:], cursor[:at] + character + cursor[at + 1 :]]
    for wrong in changed:
        if wrong != cursor:
            with pytest.raises(InvalidInputError) as refused:
                decode_cursor(kind, wrong)
            assert refused.value.field == "after"


def test_cursor_when_it_names_a_place_without_its_checksum() -> None:
    """A place that somebody made up, and a cursor of before there were checksums, are no cursors."""
    for made_up in (b"functions:a\nFN#fn-1", b"\0\0\0\0functions:a\nFN#fn-1"):
        with pytest.raises(InvalidInputError):
            decode_cursor("functions:a", base64.urlsafe_b64encode(made_up).decode().rstrip("="))
