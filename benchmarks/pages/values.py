"""Attribute values, projections and figures, as one would read them by hand."""

from datetime import datetime
from typing import Any

from gateway.records.clock import KST

HOURS = 24


def value_of(attribute: dict[str, Any]) -> Any:
    """An attribute's value."""
    for kind, content in attribute.items():
        if kind == "N":
            return float(content) if "." in content else int(content)
        if kind == "L":
            return [value_of(inner) for inner in content]
        if kind == "M":
            return {name: value_of(inner) for name, inner in content.items()}
        return None if kind == "NULL" else content
    return None


def row_of(item: dict[str, Any]) -> dict[str, Any]:
    """A row's values."""
    return {name: value_of(attribute) for name, attribute in item.items()}


def projection(names: list[str]) -> dict[str, Any]:
    """The projection on these attributes."""
    return {
        "ProjectionExpression": ", ".join(f"#{index}" for index in range(len(names))),
        "ExpressionAttributeNames": {f"#{index}": name for index, name in enumerate(names)},
    }


def hour_names(hour: int) -> list[str]:
    """The attributes of a window."""
    return [f"{kind}{hour - back}" for back in range(HOURS) for kind in "ied"]


def figures_of(item: dict[str, Any], hour: int) -> tuple[int, int, float]:
    """Sums of the window."""
    invocations = errors = 0
    duration = 0.0
    for number in range(hour - HOURS + 1, hour + 1):
        if found := item.get(f"i{number}"):
            invocations += int(found["N"])
        if found := item.get(f"e{number}"):
            errors += int(found["N"])
        if found := item.get(f"d{number}"):
            duration += float(found["N"])
    return invocations, errors, duration


def figure_fields(item: dict[str, Any] | None, hour: int, *, average: bool = True) -> dict[str, Any]:
    """The figures as the page shows them."""
    invocations, errors, duration = figures_of(item or {}, hour)
    fields: dict[str, Any] = {
        "invocations24h": invocations,
        "errors24h": errors,
        "errorRate": errors / invocations * 100 if invocations else 0.0,
    }
    if average:
        fields["avgDuration"] = duration / invocations if invocations else 0.0
    return fields


def kst(text: str | None) -> str | None:
    """A stored time as it is answered."""
    return None if text is None else datetime.fromisoformat(text).astimezone(KST).isoformat()
