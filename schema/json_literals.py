"""JSON values written as literals in a document: numbers keep every digit here too."""

from math import isinf
from typing import Any

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableNode,
)

from gateway.records.json_text import JSONNumber

MAX_DIGITS = 4_000
"""Of an integer, as in variables; Python refuses to print more than 4,300."""


def parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """Read a literal; variables within it are left out of objects where they have no value, and null in lists."""
    match node:
        case NullValueNode():
            return None
        case IntValueNode():
            return _number(node.value) if node.value == "-0" or len(node.value) > MAX_DIGITS else int(node.value)
        case FloatValueNode():
            return _number(node.value)
        case StringValueNode() | EnumValueNode() | BooleanValueNode():
            return node.value
        case ListValueNode():
            items = (parse_json_literal(item, variables) for item in node.values)
            return [None if item is Undefined else item for item in items]
        case ObjectValueNode():
            pairs = ((field.name.value, parse_json_literal(field.value, variables)) for field in node.fields)
            return {name: value for name, value in pairs if value is not Undefined}
        case VariableNode():
            return _variable((variables or {}).get(node.name.value, Undefined))
        case _:
            raise GraphQLError(f"{node.kind} is no JSON value.")


def _number(text: str) -> JSONNumber:
    if len(text) > MAX_DIGITS:
        raise GraphQLError(f"A number has more than {MAX_DIGITS} digits.")
    number = JSONNumber(text)
    if isinf(number):
        raise GraphQLError(f"{text} is beyond the range of a double.")
    return number


def _variable(value: Any) -> Any:
    if value is not Undefined and not isinstance(value, str | int | float | bool | list | dict | None):
        raise GraphQLError("Within a JSON literal a variable has to be JSON, a string, a number or a boolean.")
    return value
