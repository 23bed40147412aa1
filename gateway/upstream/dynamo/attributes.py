"""DynamoDB's attribute values as Python values, and back; nothing here knows what a row means."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Item = dict[str, Any]
"""A row: str, int, Decimal (numbers with a fraction), bool, None, bytes, list, dict, set."""


def decode_value(value: Mapping[str, Any]) -> Any:
    """Read one attribute value; integers come as int, other numbers as Decimal, so that no digit is lost."""
    (kind, content), *_ = value.items()
    match kind:
        case "S" | "BOOL" | "B":
            return content
        case "N":
            return decode_number(content)
        case "NULL":
            return None
        case "M":
            return {name: decode_value(inner) for name, inner in content.items()}
        case "L":
            return [decode_value(inner) for inner in content]
        case "NS":
            return {decode_number(number) for number in content}
        case _:
            return set(content)


def decode_number(text: str) -> int | Decimal:
    """Read DynamoDB's decimal text."""
    return int(text) if text.lstrip("-").isdigit() else Decimal(text)


def decode_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Read a row."""
    return {name: decode_value(value) for name, value in item.items()}


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
