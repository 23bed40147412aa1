"""Operations as transports start them, whatever their kind: the results of one, or a broadcast to follow."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from schema.context import Context, Resources
from schema.engine import GatewaySchema
from schema.errors import translate_errors
from schema.subscriptions import NumberedEvents, Subscription
from schema.transport.broadcasts import Broadcasts, Follower

Results = AsyncGenerator[ExecutionResult, None]


@dataclass(frozen=True, slots=True)
class Shared:
    """A subscription whose results are a broadcast's, after those that were seen."""

    seen: int | None
    join: Callable[[Follower], None]


class Operations:
    """Starts operations on a schema, each with a context of its own."""

    def __init__(self, engine: GatewaySchema, resources: Resources) -> None:
        self._engine = engine
        self._resources = resources
        self._broadcasts = Broadcasts(engine.subscriptions)

    def kind(self, request: GraphQLRequestData) -> OperationType | None:
        """What kind of operation it is; None where that can't be said, which running it explains."""
        return self._engine.operation_type(request.query, request.operation_name)

    async def execute(self, request: GraphQLRequestData) -> ExecutionResult:
        """Run a query or mutation."""
        return await self._engine.execute(
            request.query,
            variable_values=request.variables,
            context_value=Context(self._resources),
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
        )

    async def start(self, request: GraphQLRequestData) -> Results | Shared:
        """Start any operation; what forbids it is its only result."""
        if self.kind(request) is not OperationType.SUBSCRIPTION:
            return self._once(request)
        context = Context(self._resources)
        started = await self._engine.start(request.query or "", request.variables, request.operation_name, context)
        if isinstance(started, PreExecutionError):
            return _only(started)
        if isinstance(started.source, NumberedEvents):
            events = started.source
            return Shared(events.after, lambda follower: self._broadcasts.join(started, events, request, follower))
        return self._counted(started)

    async def _once(self, request: GraphQLRequestData) -> Results:
        try:
            yield await self.execute(request)
        except CannotGetOperationTypeError as error:
            yield _refusal(error.as_http_error_reason(), error)
        except MissingQueryError as error:
            yield _refusal(str(error), error)

    async def _counted(self, subscription: Subscription) -> Results:
        with self._engine.subscriptions.counted():
            async with aclosing(subscription.results()) as results:
                async for result in results:
                    yield result


async def _only(result: ExecutionResult) -> Results:
    yield result


def _refusal(message: str, error: Exception) -> PreExecutionError:
    errors = [GraphQLError(message, original_error=error)]
    translate_errors(errors, None)
    return PreExecutionError(data=None, errors=errors)
