"""JSON text that keeps every digit."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.json_text import json_text
from schema.transport.encoding import decode_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(VALUES)
def test_json_text_of_what_was_decoded(value: Any) -> None:
    """What is read and written again is the same text but for blanks."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json_text(decode_json(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "0.1000000000000000055",
        "1e200",
        "1E-300",
        "-0",
        "-0.0",
        "1.0",
        "123456789012345678901234567890.5",
        "1e-400",
    ],
)
def test_json_text_of_numbers(text: str) -> None:
    """Each number is written as it was read."""
    assert json_text(decode_json(f'{{"a":[{text}]}}')) == f'{{"a":[{text}]}}'


def test_json_text_of_a_row() -> None:
    """What DynamoDB holds natively has a form as well."""
    row = {"n": Decimal("0.1000000000000000055"), "b": b"\xff", "s": {"b", "a"}, "odd": "\ud800"}
    assert json_text(row) == '{"n":0.1000000000000000055,"b":"/w==","s":["a","b"],"odd":"\\ud800"}'
