"""Early fields: what is read below an object by its id alone starts with the object, not after it.

`workspace(id:)` names the object that it will answer, and `functions`, `executionLogs` and `builds` need no more
of a workspace than its id: a dashboard waits for one round upstream, not two. The resolvers are the same ones, run
on a stand-in for the object; where they then stand in the selection their results are taken up, errors included.
Where there turns out to be no object, they are dropped.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import iscoroutine
from typing import Any, NamedTuple

from graphql import GraphQLError, GraphQLField, GraphQLObjectType, GraphQLResolveInfo, get_named_type
from graphql.execution import ExecutionResult
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.types import ExperimentalIncrementalExecutionResults
from graphql.execution.values import get_argument_values
from graphql.language import OperationType
from graphql.pyutils import AwaitableOrValue, Path, UndefinedType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.plans import DEFINITION

NAMES, BY_ID = "names an object", "by id"
IsReady = Callable[[Any, str], bool]
"""Whether, in this context, it is worth while to read by this id before it is known to exist."""


@dataclass(frozen=True, slots=True)
class ById:
    """Stands for an object of which only the id is known."""

    id: str


class Early(NamedTuple):
    """A resolver that was started before its object was there."""

    info: GraphQLResolveInfo[Any]
    result: asyncio.Task[Any]


def names_object(is_ready: IsReady) -> Mapping[str, Any]:
    """The metadata of a root field whose argument `id` is the id of the object it answers."""
    return {NAMES: is_ready}


def by_id() -> Mapping[str, Any]:
    """The metadata of a field whose async resolver uses nothing of its object but the id."""
    return {BY_ID: True}


class EarlyExecutor(StrawberryGraphQLCoreExecutionContext):
    """Starts early fields along with the root fields of a query."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._early: dict[int, Early] = {}

    def execute_root_grouped_field_set(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        position_context: Any,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Start what can be started, then execute the root fields."""
        if self.operation.operation is OperationType.QUERY:
            for response_name, details in grouped_field_set.items():
                field = root_type.fields.get(details[0].node.name.value)
                is_ready = _metadata(field).get(NAMES)
                if field is not None and is_ready is not None:
                    self._start_below(field, details, Path(None, response_name, root_type.name), is_ready)
        return super().execute_root_grouped_field_set(
            root_type, root_value, grouped_field_set, serially, position_context
        )

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> AwaitableOrValue[Any] | UndefinedType:
        """Execute a field, or take up what was started of it."""
        early = self._early.pop(id(field_details_list), None) if self._early else None
        if early is None:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        return self.complete_awaitable_value(
            early.info.return_type, field_details_list, early.info, path, early.result, position_context
        )

    def build_response(
        self, data: dict[str, Any] | None
    ) -> ExecutionResult | ExperimentalIncrementalExecutionResults:
        """Build the response; what was started in vain ends in the background."""
        if self._early:
            self.settle_in_background([early.result for early in self._early.values()])
            self._early = {}
        return super().build_response(data)

    def _start_below(self, field: GraphQLField, details: FieldDetailsList, path: Path, is_ready: IsReady) -> None:
        type_ = get_named_type(field.type)
        arguments = self._arguments(field, details)
        if arguments is None or not isinstance(type_, GraphQLObjectType):
            return
        id_ = str(arguments["id"])
        if not is_ready(self.context_value, id_):
            return
        # The same lists as those that the fields are executed by: graphql-core keeps them.
        for response_name, below in self.collect_subfields(type_, details).grouped_field_set.items():
            child = type_.fields.get(below[0].node.name.value)
            if child is None or child.resolve is None or BY_ID not in _metadata(child):
                continue
            given = self._arguments(child, below)
            if given is None:
                continue  # it is told where the field is executed
            nodes = [detail.node for detail in below]
            info = self.build_resolve_info(child, nodes, type_, Path(path, response_name, type_.name))
            started = child.resolve(ById(id_), info, **given)
            if iscoroutine(started):
                self._early[id(below)] = Early(info, asyncio.ensure_future(started))

    def _arguments(self, field: GraphQLField, details: FieldDetailsList) -> dict[str, Any] | None:
        first = details[0]
        try:
            return get_argument_values(
                field, first.node, self.variable_values, first.fragment_variable_values, self.hide_suggestions
            )
        except GraphQLError:
            return None


def _metadata(field: GraphQLField | None) -> Mapping[Any, Any]:
    definition = field.extensions.get(DEFINITION) if field is not None else None
    found: Mapping[Any, Any] = definition.metadata if definition is not None else {}
    return found
