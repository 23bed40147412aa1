"""The PromQL that the stand-in understands, as a tree: what the gateway's own queries are made of."""

import re
from dataclasses import dataclass

from gateway.local.selectors import Matcher, QueryReader

AGGREGATIONS = ("sum", "max", "min", "count")
UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}


@dataclass(frozen=True, slots=True)
class Constant:
    """`vector(1)`"""

    value: float


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{label="value"}`"""

    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate(selector[1m])`"""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Aggregation:
    """`sum by (label) (expression)`"""

    operator: str
    by: tuple[str, ...]
    expression: "Expression"


@dataclass(frozen=True, slots=True)
class Product:
    """`left * on(label) group_left(other) right`"""

    left: "Expression"
    right: "Expression"
    on: tuple[str, ...]
    include: tuple[str, ...]


Expression = Constant | Selector | Rate | Aggregation | Product


def parse_promql(query: str) -> Expression:
    """Read a query; QuerySyntaxError for what is no PromQL, or more of it than the gateway sends."""
    reader = QueryReader(query)
    expression = _read_product(reader)
    if reader.next.kind != "end":
        raise reader.unexpected("the end, as the local stand-in answers the gateway's own queries only")
    return expression


def parse_duration_ms(text: str) -> int:
    """Milliseconds of `90s`, `1m30s` and the like."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * UNIT_MS[unit] for number, unit in parts)


def _read_product(reader: QueryReader) -> Expression:
    left = _read_operand(reader)
    while reader.at("*"):
        reader.take("*")
        reader.take("on")
        on = _read_names(reader)
        reader.take("group_left")
        include = _read_names(reader)
        left = Product(left, _read_operand(reader), on, include)
    return left


def _read_operand(reader: QueryReader) -> Expression:
    if reader.at("("):
        reader.take("(")
        expression = _read_product(reader)
        reader.take(")")
        return expression
    if reader.at("{"):
        return Selector(reader.take_matchers())
    if reader.next.kind != "name":
        raise reader.unexpected("a query of the gateway, the only ones that the local stand-in answers")
    name = reader.take_kind("name")
    if name in AGGREGATIONS:
        by: tuple[str, ...] = ()
        if reader.at("by"):
            reader.take("by")
            by = _read_names(reader)
        reader.take("(")
        inner = _read_product(reader)
        reader.take(")")
        return Aggregation(name, by, inner)
    if reader.at("("):
        return _read_call(reader, name)
    return _read_selector(reader, name)


def _read_call(reader: QueryReader, name: str) -> Expression:
    if name not in {"rate", "vector"}:
        raise reader.unexpected(f"a query of the gateway, which has no {name}()")
    reader.take("(")
    expression: Expression
    if name == "vector":
        expression = Constant(float(reader.take_kind("number")))
    else:
        selector = _read_selector(reader, reader.take_kind("name"))
        reader.take("[")
        expression = Rate(selector, parse_duration_ms(reader.take_kind("duration")))
        reader.take("]")
    reader.take(")")
    return expression


def _read_selector(reader: QueryReader, name: str) -> Selector:
    named = Matcher("__name__", "=", name, None)
    return Selector((named, *(reader.take_matchers() if reader.at("{") else ())))


def _read_names(reader: QueryReader) -> tuple[str, ...]:
    names: list[str] = []
    reader.take("(")
    while not reader.at(")"):
        names.append(reader.take_kind("name"))
        if not reader.at(")"):
            reader.take(",")
    reader.take(")")
    return tuple(names)
