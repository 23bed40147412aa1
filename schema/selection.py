"""What an operation selects below a field, so that no more is read than was asked for."""

from collections.abc import Iterable, Iterator

from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, InlineFragmentNode, SelectionSetNode
from graphql.execution.values import get_directive_values
from graphql.type import GraphQLIncludeDirective, GraphQLSkipDirective

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


def _is_included(info: GraphQLResolveInfo[Context], node: object) -> bool:
    if not getattr(node, "directives", ()):
        return True
    skip = get_directive_values(GraphQLSkipDirective, node, info.variable_values)  # type: ignore[arg-type]  # a node with directives
    include = get_directive_values(GraphQLIncludeDirective, node, info.variable_values)  # type: ignore[arg-type]  # the same
    return not (skip and skip["if"]) and (include is None or include["if"])
