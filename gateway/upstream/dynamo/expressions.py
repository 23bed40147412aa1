"""Expressions and the writes that carry them.

Every attribute goes through a placeholder: `name` and others are reserved words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.upstream.dynamo.attributes import encode_item, encode_value
from gateway.upstream.dynamo.keys import Key


class Placeholders:
    """The names and values that the expressions of one request refer to."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute's name."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: Any) -> str:
        """A placeholder for a value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = encode_value(value)
        return placeholder

    def as_parameters(self) -> dict[str, Any]:
        """The request's parameters; DynamoDB refuses empty ones."""
        parameters: dict[str, Any] = {}
        if self._names:
            names = {placeholder: attribute for attribute, placeholder in self._names.items()}
            parameters["ExpressionAttributeNames"] = names
        if self._values:
            parameters["ExpressionAttributeValues"] = self._values
        return parameters


Condition = Callable[[Placeholders], str]
"""Writes itself as an expression with the request's placeholders."""


def exists(attribute: str = "PK") -> Condition:
    """The attribute is there; by default: the row is."""
    return lambda given: f"attribute_exists({given.name(attribute)})"


def not_exists(attribute: str = "PK") -> Condition:
    """The attribute is not there; by default: the row is not."""
    return lambda given: f"attribute_not_exists({given.name(attribute)})"


def equals(attribute: str, value: Any) -> Condition:
    """The attribute has this value."""
    return lambda given: f"{given.name(attribute)} = {given.value(value)}"


def compares(attribute: str, operator: str, value: Any) -> Condition:
    """The attribute stands in this relation (`<`, `<=`, `>`, `>=`, `<>`) to the value."""
    return lambda given: f"{given.name(attribute)} {operator} {given.value(value)}"


def begins_with(attribute: str, prefix: str) -> Condition:
    """The attribute's text starts like this."""
    return lambda given: f"begins_with({given.name(attribute)}, {given.value(prefix)})"


def between(attribute: str, low: str, high: str) -> Condition:
    """The attribute lies between the two, both included."""
    return lambda given: f"{given.name(attribute)} BETWEEN {given.value(low)} AND {given.value(high)}"


def all_of(*conditions: Condition) -> Condition:
    """Each of them holds."""
    return lambda given: " AND ".join(f"({condition(given)})" for condition in conditions)


def any_of(*conditions: Condition) -> Condition:
    """At least one of them holds."""
    return lambda given: " OR ".join(f"({condition(given)})" for condition in conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write a whole row."""

    item: Mapping[str, Any]
    condition: Condition | None = None

    def as_parameters(self) -> dict[str, Any]:
        """The request's parameters, without the table."""
        given = Placeholders()
        parameters: dict[str, Any] = {"Item": encode_item(self.item)}
        return parameters | _condition(self.condition, given) | given.as_parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Change attributes of a row; `add` counts numbers up."""

    key: Key
    set: Mapping[str, Any] = field(default_factory=dict)
    copy_number: Mapping[str, str] = field(default_factory=dict)
    """Attributes that take the number another has before this update; 0 where it has none."""
    remove: Sequence[str] = ()
    add: Mapping[str, Any] = field(default_factory=dict)
    condition: Condition | None = None
    once: bool = False
    """Never sent again where it may have arrived: it would be made twice. Transactions have a token for that."""

    def as_parameters(self) -> dict[str, Any]:
        """The request's parameters, without the table."""
        given = Placeholders()
        assignments = [f"{given.name(name)} = {given.value(value)}" for name, value in self.set.items()]
        assignments += [
            f"{given.name(name)} = if_not_exists({given.name(source)}, {given.value(0)})"
            for name, source in self.copy_number.items()
        ]
        additions = [f"{given.name(name)} {given.value(value)}" for name, value in self.add.items()]
        removals = [given.name(name) for name in self.remove]
        clauses = (("SET", assignments), ("ADD", additions), ("REMOVE", removals))
        expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)
        parameters: dict[str, Any] = {"Key": self.key.as_attributes(), "UpdateExpression": expression}
        return parameters | _condition(self.condition, given) | given.as_parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a row."""

    key: Key
    condition: Condition | None = None

    def as_parameters(self) -> dict[str, Any]:
        """The request's parameters, without the table."""
        given = Placeholders()
        return {"Key": self.key.as_attributes()} | _condition(self.condition, given) | given.as_parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Require something of a row that the transaction does not write."""

    key: Key
    condition: Condition

    def as_parameters(self) -> dict[str, Any]:
        """The request's parameters, without the table."""
        given = Placeholders()
        return {"Key": self.key.as_attributes()} | _condition(self.condition, given) | given.as_parameters()


Write = Put | Update | Delete | Check


def _condition(condition: Condition | None, given: Placeholders) -> dict[str, Any]:
    return {} if condition is None else {"ConditionExpression": condition(given)}
