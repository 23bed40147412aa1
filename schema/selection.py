"""What an operation selects below a field, so that no more is read than was asked for."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)

from schema.context import Context, Info


def selected_fields(info: Info, *path: str) -> frozenset[str]:
    """The names of the fields selected below the field being resolved, following `path` from it."""
    raw = info._raw_info  # noqa: SLF001  # Strawberry's own `selected_fields` converts the whole tree on each call
    nodes: Iterable[FieldNode] = raw.field_nodes
    for name in path:
        nodes = [node for node in _children(raw, nodes) if node.name.value == name]
    return frozenset(node.name.value for node in _children(raw, nodes))


def selects_any(info: Info, names: Iterable[str], *paths: tuple[str, ...]) -> bool:
    """Whether one of the fields is selected below one of the paths."""
    wanted = frozenset(names)
    return any(wanted & selected_fields(info, *path) for path in paths)


def _children(info: GraphQLResolveInfo[Context], nodes: Iterable[FieldNode]) -> list[FieldNode]:
    return [child for node in nodes for child in _fields(info, node.selection_set)]


def _fields(info: GraphQLResolveInfo[Context], selections: SelectionSetNode | None) -> Iterator[FieldNode]:
    for node in selections.selections if selections is not None else ():
        if not _is_included(info, node):
            continue
        match node:
            case FieldNode():
                yield node
            case InlineFragmentNode():
                yield from _fields(info, node.selection_set)
            case FragmentSpreadNode():
                yield from _fields(info, info.fragments[node.name.value].selection_set)


def _is_included(info: GraphQLResolveInfo[Context], node: SelectionNode) -> bool:
    return all(
        _condition(info, directive) is (directive.name.value == "include")
        for directive in node.directives or ()
        if directive.name.value in {"include", "skip"}
    )


def _condition(info: GraphQLResolveInfo[Context], directive: DirectiveNode) -> bool:
    """The `if` of a directive; the document is valid, so that it is there and a Boolean."""
    (argument,) = directive.arguments or ()
    if isinstance(argument.value, VariableNode):
        variables: Any = info.variable_values  # Strawberry hands resolvers a plain dict, defaults included
        return bool(variables[argument.value.name.value])
    return isinstance(argument.value, BooleanValueNode) and argument.value.value
