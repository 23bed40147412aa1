"""graphql-core's executor, with lists and objects of plain columns read by compiled plans.

What plans are and when they give up is in schema/plans.py. Whatever has no plan, and whatever a plan gives up on,
is graphql-core's as ever: tests/schema/test_executor.py compares the two on every kind of document.
"""

from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    Node,
    SelectionSetNode,
    VariableNode,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import AwaitableOrValue, Path

from schema.early import EarlyExecutor
from schema.plans import Read, UnusualError, compile_object

MAX_PLANS = 500
"""Of one document: selections times object types times the values of their directives' variables."""


class PlanKey(NamedTuple):
    """What a plan depends on, besides the schema: where in the document it is, and what its directives say."""

    type_name: str
    nodes: tuple[int, ...]
    decisions: tuple[object, ...] = ()


class Plans:
    """The plans of one document; nodes are known by identity, so that it must not outlive the document."""

    def __init__(self) -> None:
        self.variables: dict[tuple[int, ...], tuple[str, ...]] = {}
        self.found: dict[PlanKey, Read | None] = {}


class PlanningExecutor(EarlyExecutor):
    """Executes one operation; the plans come with the context, from the document's place in the cache."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plans = getattr(self.context_value, "plans", None)
        middlewares = self.middleware_manager is not None and self.middleware_manager.middlewares
        self._plans: Plans | None = None if self.abort_signal is not None or middlewares else plans
        self._known: dict[tuple[str, int], tuple[FieldDetailsList, Read | None]] = {}

    def build_per_event_executor(self, payload: Any) -> "PlanningExecutor":
        """Make the executor of a subscription's event, which forgets with the event what it collected.

        graphql-core would keep the selections of every event until the subscription ends, 3 KB each.
        """
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, PlanningExecutor)  # noqa: S101  # it is a copy
        executor._known = {}  # noqa: SLF001  # it is one of our own
        executor._relevant_sub_fields = {}  # noqa: SLF001  # there is no public way; a test sees that it works
        return executor

    def complete_list_value(
        self,
        return_type: GraphQLList[Any],
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: AsyncIterable[Any] | Iterable[Any],
        position_context: Any,
    ) -> AwaitableOrValue[list[Any]]:
        """Complete a list by its items' plan."""
        if type(result) is list or type(result) is tuple:
            inner = return_type.of_type
            item_type = inner.of_type if isinstance(inner, GraphQLNonNull) else inner
            if isinstance(item_type, GraphQLObjectType):
                read = self._plan(item_type, field_details_list)
                if read is not None:
                    try:
                        return [read(item) for item in result]
                    except UnusualError:
                        pass
        return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Complete an object by its plan."""
        read = self._plan(return_type, field_details_list)
        if read is not None:
            try:
                found: dict[str, Any] = read(result)
            except UnusualError:
                pass
            else:
                return found
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def _plan(self, type_: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        """The plan of a selection, found once an operation, and compiled once a document."""
        if self._plans is None:
            return None
        known = self._known.get((type_.name, id(details)))
        if known is None:
            # The list is kept with its plan: its id must not come again.
            known = self._known[type_.name, id(details)] = (details, self._find(self._plans, type_, details))
        return known[1]

    def _find(self, plans: Plans, type_: GraphQLObjectType, details: FieldDetailsList) -> Read | None:
        nodes = tuple(id(detail.node) for detail in details)
        variables = plans.variables.get(nodes)
        if variables is None:
            fields: list[FieldNode] = [detail.node for detail in details]
            variables = plans.variables[nodes] = _directive_variables(fields, self.fragment_definitions)
        values = self.variable_values.coerced
        key = PlanKey(type_.name, nodes, tuple(values.get(name) for name in variables))
        if key not in plans.found:
            if len(plans.found) >= MAX_PLANS:
                return None
            plans.found[key] = compile_object(type_, self._collect(type_, details), self._collect)
        return plans.found[key]

    def _collect(self, type_: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        return self.collect_subfields(type_, details).grouped_field_set


def _directive_variables(
    nodes: Sequence[FieldNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> tuple[str, ...]:
    """The variables that decide what is selected at and below the fields: those of their directives."""
    names: set[str] = set()
    seen: set[str] = set()

    def visit(node: Node, selections: SelectionSetNode | None) -> None:
        for directive in getattr(node, "directives", None) or ():
            for argument in directive.arguments or ():
                if isinstance(argument.value, VariableNode):
                    names.add(argument.value.name.value)
        for selected in selections.selections if selections else ():
            match selected:
                case FieldNode() | InlineFragmentNode():
                    visit(selected, selected.selection_set)
                case FragmentSpreadNode() if selected.name.value not in seen:
                    seen.add(selected.name.value)
                    visit(selected, None)
                    visit(fragments[selected.name.value], fragments[selected.name.value].selection_set)
                case _:
                    visit(selected, None)

    for node in nodes:
        visit(node, node.selection_set)
    return tuple(sorted(names))
