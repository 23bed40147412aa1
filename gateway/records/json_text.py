"""JSON text whose numbers keep every digit: a double and DynamoDB's 38 digits are both less than JSON can say."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


class JSONNumber(float):
    """A number with a fraction or an exponent that remembers how it was written; all else takes it as a float."""

    text: str

    def __new__(cls, text: str) -> "JSONNumber":
        """Read a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def json_text(value: Any) -> str:
    """Write a value as JSON, on one line and without spaces; numbers as their own digits, bytes as Base64."""
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    match value:
        case str():
            # Half a surrogate pair has no UTF-8; its escape is ASCII.
            yield json.dumps(value, ensure_ascii=_SURROGATE.search(value) is not None)
        case JSONNumber():
            yield value.text
        case Decimal():
            yield str(value)
        case bytes():
            yield json.dumps(base64.b64encode(value).decode())
        case Mapping():
            yield "{"
            for index, (name, inner) in enumerate(value.items()):
                yield f"{',' if index else ''}{json.dumps(str(name), ensure_ascii=False)}:"
                yield from _pieces(inner)
            yield "}"
        case list() | tuple() | set():
            yield "["
            for index, inner in enumerate(sorted(value) if isinstance(value, set) else value):
                yield "," if index else ""
                yield from _pieces(inner)
            yield "]"
        case _:
            yield json.dumps(value, allow_nan=False)
