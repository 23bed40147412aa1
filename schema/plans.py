"""Plans: how the JSON of objects is read from their attributes alone, compiled once for each selection.

graphql-core spends 3 microseconds and up on each leaf; a plan spends 0.1. A plan is made only where every field
below is plain: an attribute of a Strawberry type, or one that says how it is read (`plain`), without arguments,
of built-in scalars, enums, our scalars, and objects and lists of those. Reading gives up by raising UnusualError
on any value that is not exactly what the type wants (a null where none may be, an error, another class); then
graphql-core does it all again, with its errors and its paths. Attributes have no side effects, so that this shows
in nothing but time. Which executor uses plans, and when, is schema/executor.py's.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from operator import attrgetter
from typing import Any, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    Undefined,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from strawberry.types.field import StrawberryField

Read = Callable[[Any], Any]
"""Makes JSON of a value, or raises UnusualError."""
Collect = Callable[[GraphQLObjectType, FieldDetailsList], GroupedFieldSet]
"""Says which fields are selected on an object type below some field."""

DEFINITION = "strawberry-definition"
"""Where Strawberry keeps its own type or field in graphql-core's."""
PLAIN = "plain"
"""Where a field keeps how it is read without its resolver."""
MAX_RECENT = 16
"""Tuples of which a plan remembers the JSON: a function's lines come from as many streams as it has pods."""
MAX_RECENT_ITEMS = 32
"""Of such a tuple; it is kept for as long as it is remembered."""
_INT_MAX = 2**31 - 1


class UnusualError(Exception):
    """A value that a plan does not know how to read."""


def plain(read: Callable[[Any], Any]) -> Mapping[str, Any]:
    """The metadata of a field whose resolver, called without arguments, gives what `read` gives of the object.

    `read` raises UnusualError where the resolver has more to do, such as waiting.
    """
    return {PLAIN: read}


class Leaf(NamedTuple):
    """A field as it is read: where from, what class needs no second look, and what else may be made of it."""

    response_name: str
    get: Callable[[Any], Any]
    exact: type | None
    complete: Read


def compile_object(type_: GraphQLObjectType, fields: GroupedFieldSet, collect: Collect) -> Read | None:
    """The plan of a selection on an object type; None where a field of it is not plain."""
    definition = type_.extensions.get(DEFINITION)
    if definition is None:
        return None
    leaves: list[Leaf] = []
    for response_name, details in fields.items():
        leaf = _compile_field(type_, response_name, details, collect)
        if leaf is None:
            return None
        leaves.append(leaf)
    # Types without `is_type_of` take any object, as graphql-core does; the others their own class alone.
    return _object_reader(definition.origin if type_.is_type_of else None, tuple(leaves))


def _object_reader(cls: type | None, leaves: Sequence[Leaf]) -> Read:
    def read(source: Any) -> dict[str, Any]:
        if cls is not None and type(source) is not cls:
            raise UnusualError
        result = {}
        try:
            for response_name, get, exact, complete in leaves:
                value = get(source)
                result[response_name] = value if type(value) is exact else complete(value)
        except UnusualError:
            raise
        except Exception as error:
            raise UnusualError from error
        return result

    return read


def _compile_field(
    type_: GraphQLObjectType, response_name: str, details: FieldDetailsList, collect: Collect
) -> Leaf | None:
    node = details[0].node
    if node.name.value == "__typename":
        name = type_.name
        return Leaf(response_name, lambda _: name, str, _read_str)
    field = type_.fields.get(node.name.value)
    definition: StrawberryField | None = field.extensions.get(DEFINITION) if field else None
    if field is None or definition is None or node.arguments or details[0].fragment_variable_values:
        return None
    get: Callable[[Any], Any]
    if (read := definition.metadata.get(PLAIN)) is not None and not definition.extensions:
        get = read
    elif definition.is_basic_field and not field.args:
        get = attrgetter(definition.python_name)
    else:
        return None
    complete = _compile_value(field.type, details, collect)
    if complete is None:
        return None
    inner = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    return Leaf(response_name, get, _EXACT.get(getattr(inner, "name", "")), complete)


def _compile_value(type_: GraphQLOutputType, details: FieldDetailsList, collect: Collect) -> Read | None:
    if isinstance(type_, GraphQLNonNull):
        return _compile_present(type_.of_type, details, collect)
    complete = _compile_present(type_, details, collect)
    if complete is None:
        return None
    return lambda value: None if value is None else complete(value)


def _compile_present(type_: GraphQLOutputType, details: FieldDetailsList, collect: Collect) -> Read | None:
    """How a value is read that is not null."""
    if isinstance(type_, GraphQLList):
        item = _compile_value(type_.of_type, details, collect)
        return None if item is None else _list_reader(item)
    if isinstance(type_, GraphQLScalarType):
        return _SCALARS.get(type_.name) or _scalar_reader(type_)
    if isinstance(type_, GraphQLEnumType):
        return _enum_reader(type_)
    if isinstance(type_, GraphQLObjectType):
        return compile_object(type_, collect(type_, details), collect)
    return None


def _list_reader(item: Read) -> Read:
    recent: dict[int, tuple[Any, list[Any]]] = {}

    def read(value: Any) -> list[Any]:
        if type(value) is list or (type(value) is tuple and len(value) > MAX_RECENT_ITEMS):
            return [item(inner) for inner in value]
        if type(value) is not tuple:
            raise UnusualError
        # Tuples stay as they are: one that many objects share, such as the labels of a stream, is read once.
        found = recent.get(id(value))
        if found is None:
            if len(recent) >= MAX_RECENT:
                recent.clear()
            found = recent[id(value)] = (value, [item(inner) for inner in value])
        return found[1]

    return read


def _scalar_reader(type_: GraphQLScalarType) -> Read:
    coerce = type_.coerce_output_value

    def read(value: Any) -> Any:
        if value is None or isinstance(value, Exception):
            raise UnusualError
        try:
            coerced = coerce(value)
        except Exception as error:
            raise UnusualError from error
        if coerced is None or coerced is Undefined:
            raise UnusualError
        return coerced

    return read


def _enum_reader(type_: GraphQLEnumType) -> Read | None:
    definition = type_.extensions.get(DEFINITION)
    if definition is None:
        return None
    # By identity: members are there once, and an enum's own hash is written in Python.
    names = {id(member): type_.coerce_output_value(member) for member in definition.wrapped_cls}

    def read(value: Any) -> Any:
        name = names.get(id(value))
        if name is None:
            raise UnusualError
        return name

    return read


def _read_str(value: Any) -> Any:
    if type(value) is str:
        return value
    raise UnusualError


def _read_bool(value: Any) -> Any:
    if type(value) is bool:
        return value
    raise UnusualError


def _read_int(value: Any) -> Any:
    if type(value) is int and -_INT_MAX - 1 <= value <= _INT_MAX:
        return value
    raise UnusualError


def _read_float(value: Any) -> Any:
    if type(value) is float and isfinite(value):
        return value
    raise UnusualError


_EXACT: dict[str, type] = {"String": str, "ID": str, "Boolean": bool}
_SCALARS: dict[str, Read] = {
    "String": _read_str,
    "ID": _read_str,
    "Boolean": _read_bool,
    "Int": _read_int,
    "Float": _read_float,
}
