"""How long the lists in an operation's variables may be: measured before graphql-core makes objects of them.

An object of an input's list takes 30 microseconds, and a body has room for 50,000 of them. Lists in literals are
bounded by the document's tokens; what is in a value of type JSON is not looked at here, nor by graphql-core.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLType,
    OperationDefinitionNode,
    get_named_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)

from schema.errors import VALIDATION_ERROR, coded

MAX_ITEMS = 1_000
"""An environment of 32 KB has some hundred variables; everything else is shorter."""
MAX_DEPTH = 8
"""Of inputs within inputs; ours have two."""

ListPath = tuple[str, ...]
"""Where a list is: a variable's name, and the fields below."""


def find_lists(schema: GraphQLSchema, document: DocumentNode) -> tuple[ListPath, ...]:
    """All places in the operations' variables where a list may be."""
    return tuple(
        path
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
        for variable in operation.variable_definitions or ()
        for path in _lists_of(type_from_ast(schema, variable.type), (variable.variable.name.value,))
    )


def check_lists(lists: tuple[ListPath, ...], variables: Mapping[str, Any] | None) -> GraphQLError | None:
    """Refuse a list that is too long, by the path below `input` that it has."""
    for path in lists:
        value: Any = variables
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, list) and len(value) > MAX_ITEMS:
            field = ".".join(path[1:] if len(path) > 1 else path)
            message = f"{field} must have at most {MAX_ITEMS} items; it has {len(value)}."
            return coded(GraphQLError(message), VALIDATION_ERROR, field=field)
    return None


def _lists_of(type_: GraphQLType | None, path: ListPath) -> Iterator[ListPath]:
    """The lists of a type and of the inputs in it; a list in a list is part of it."""
    if type_ is None or len(path) > MAX_DEPTH:
        return
    if is_list_type(type_.of_type if is_non_null_type(type_) else type_):
        yield path
        return
    named = get_named_type(type_)
    if is_input_object_type(named):
        for name, field in named.fields.items():
            yield from _lists_of(field.type, (*path, name))
