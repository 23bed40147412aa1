"""DynamoDB's attribute values as Python values, and back; nothing here knows what a row means."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Item = dict[str, Any]
"""A row: str, int, Decimal (numbers with a fraction), bool, None, bytes, list, dict, set."""


def decode_value(value: Mapping[str, Any]) -> Any:
    """Read one attribute value; integers come as int, other numbers as Decimal, so that no digit is lost."""
    ((kind, content),) = value.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return decode_number(content)
        case "NULL":
            return None
        case "M":
            return decode_item(content)
        case "L":
            return [decode_value(inner) for inner in content]
        case "NS":
            return {decode_number(number) for number in content}
        case "B":
            return _decode_bytes(content)
        case "BS":
            return {_decode_bytes(inner) for inner in content}
        case _:
            return set(content)


def decode_number(text: str) -> int | Decimal:
    """Read DynamoDB's decimal text."""
    return int(text) if text.removeprefix("-").isdecimal() else Decimal(text)


def _decode_bytes(content: str | bytes) -> bytes:
    """Bytes are Base64 on the wire; the SDK has them decoded."""
    return content if isinstance(content, bytes) else base64.b64decode(content)


def decode_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Read a row; a page has thousands of values, so that texts and usual numbers take no call."""
    row: Item = {}
    for name, value in item.items():
        if "S" in value:
            row[name] = value["S"]
        elif "N" in value:
            digits = value["N"]
            if digits.isdecimal():
                row[name] = int(digits)
            else:
                row[name] = Decimal(digits) if "." in digits else decode_number(digits)
        else:
            row[name] = decode_value(value)
    return row


def encode_value(value: Any) -> dict[str, Any]:
    """Make an attribute value."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": {str(name): encode_value(inner) for name, inner in value.items()}}
        case list() | tuple():
            return {"L": [encode_value(inner) for inner in value]}
        case _:
            raise TypeError(f"a {type(value).__name__} is no attribute value")


def encode_item(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Make a row."""
    return {name: encode_value(value) for name, value in item.items()}
