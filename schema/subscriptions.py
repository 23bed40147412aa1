"""How a subscription runs: its source is opened once, and each event of it executed by itself, reading anew.

Events that are the same for everyone who asks have numbers: then subscribers of one operation can share them, each
from the number on that it has seen. Who shares what with whom is schema/transport/broadcasts.py's.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Generic, Protocol, TypeVar, cast

from graphql import FieldNode, GraphQLError, GraphQLSchema, VariableNode
from graphql.execution import ExecutionResult as CoreResult
from graphql.execution import create_source_event_stream, execute_subscription_event
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from schema.context import Context
from schema.documents import PreparedDocument
from schema.errors import translate_errors
from schema.executor import PlanningExecutor

RESUMING_ARGUMENT = "after"
"""Says where a subscriber begins among the numbered events, and changes nothing about them."""
DEFINED_AND_USED_ONCE = 2


class NumberedRecord(Protocol):
    """What happened, and its number."""

    @property
    def sequence(self) -> int:
        """Greater than that of all before."""


R_co = TypeVar("R_co", bound=NumberedRecord, covariant=True)
R = TypeVar("R", bound=NumberedRecord)
E = TypeVar("E")


class Watcher(Protocol[R_co]):
    """Where numbered events come from, for any number of followers; one may iterate instead."""

    changed: asyncio.Event
    """Set when there may be more."""

    async def read(self) -> None:
        """Get what is there already."""

    def next_after(self, seen: int | None) -> R_co | None:
        """The first event after the number, if there is one by now; for None the state of now."""

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more events than there are."""

    def __aiter__(self) -> AsyncIterator[R_co]: ...


@dataclass(frozen=True, slots=True)
class NumberedEvents(Generic[R, E]):
    """The source of a subscription whose events have numbers; this subscriber has seen those up to `after`."""

    watch: Callable[[int | None], AbstractContextManager[Watcher[R]]]
    to_event: Callable[[R], E]
    after: int | None

    async def __aiter__(self) -> AsyncGenerator[E, None]:
        """The events, for a subscriber by itself."""
        with self.watch(self.after) as records:
            async for record in records:
                yield self.to_event(record)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription that was found to be in order, and its source."""

    executor: PlanningExecutor
    source: AsyncIterable[Any]
    prepared: PreparedDocument

    async def results(self) -> AsyncGenerator[ExecutionResult, None]:
        """All results for one subscriber; where it breaks off, the last says why."""
        try:
            events = aiter(self.source)
            async with aclosing(cast("AsyncGenerator[Any, None]", events)):
                async for event in events:
                    yield await self.execute(event)
        except Exception as error:
            yield self.failure(error)

    async def execute(self, event: Any) -> ExecutionResult:
        """The result of one event; what was loaded for an earlier one is forgotten."""
        self.executor.context_value.clear_loaders()
        found = execute_subscription_event(self.executor.build_per_event_executor(event))
        result = await found if isawaitable(found) else found
        if result.errors:
            translate_errors(result.errors, self.prepared.node)
        return ExecutionResult(data=result.data, errors=result.errors)

    def failure(self, error: Exception) -> PreExecutionError:
        """The last result of a subscription that breaks off."""
        errors = [error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)]
        return refusal(errors, self.prepared)

    def resuming_variable(self) -> str | None:
        """The variable that says where the subscriber begins, and is used for nothing else in the document."""
        for field in self.executor.operation.selection_set.selections:
            for argument in (field.arguments or ()) if isinstance(field, FieldNode) else ():
                value = argument.value
                if argument.name.value == RESUMING_ARGUMENT and isinstance(value, VariableNode):
                    name = value.name.value
                    return name if self.prepared.mentions[name] == DEFINED_AND_USED_ONCE else None
        return None


def refusal(errors: list[GraphQLError], prepared: PreparedDocument) -> PreExecutionError:
    """The only result of a subscription that can't be run."""
    translate_errors(errors, prepared.node)
    return PreExecutionError(data=None, errors=errors)


async def start(
    schema: GraphQLSchema,
    prepared: PreparedDocument,
    context: Context,
    variables: dict[str, Any] | None,
    operation_name: str | None,
) -> Subscription | PreExecutionError:
    """Open the source of a subscription that is valid."""
    context.plans, context.fields = prepared.plans, prepared.fields
    executor = PlanningExecutor.build(
        schema,
        prepared.node,
        context_value=context,
        raw_variable_values=variables,
        operation_name=operation_name,
    )
    if isinstance(executor, list):
        return refusal(executor, prepared)
    found = create_source_event_stream(executor)
    source = await found if isawaitable(found) else found
    if isinstance(source, CoreResult):
        return refusal(source.errors or [], prepared)
    return Subscription(cast("PlanningExecutor", executor), source, prepared)
