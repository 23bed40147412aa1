"""How an operation is run: the schema with its limits, caches, errors, deadline and per-operation context.

The types are in the domain folders and schema/root.py; how requests arrive is in schema/transport/.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import strawberry
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.utils.operation import get_operation_type

from gateway.errors import OperationTimeoutError
from gateway.telemetry import UpstreamCall, recording_calls
from schema.context import Context
from schema.documents import Documents, PreparedDocument
from schema.errors import translate_errors
from schema.executor import PlanningExecutor
from schema.limits import MAX_COST, MAX_DOCUMENT_CHARACTERS, MAX_TOKENS, too_complex
from schema.open_subscriptions import MAX_SUBSCRIPTIONS, OpenSubscriptions
from schema.scalars import SCALARS
from schema.subscriptions import Subscription, refusal, start

QUERY_TIMEOUT_S = 30.0
"""What a query gets in all: three upstream calls in a row that each use up their 10 s."""


class OperationSteps(SchemaExtension):
    """What is done around parsing, validating and executing one operation; made anew for each."""

    def __init__(self) -> None:
        self._prepared: PreparedDocument | None = None
        self._calls: list[UpstreamCall] | None = None
        self._cost = 0

    def on_parse(self) -> Iterator[None]:
        """Take the document from the cache, or let Strawberry parse it within the limit of tokens.

        A hook must not raise: in a stream, errors are handled only around the parsing itself.
        """
        operation = self.execution_context
        operation.parse_options = {"max_tokens": MAX_TOKENS}
        if operation.query:
            documents = _schema_of(operation).documents
            self._prepared = documents.find(operation.query)
            operation.graphql_document = documents.parsed(operation.query)
        yield

    def on_validate(self) -> Iterator[None]:
        """Refuse what is not valid, too large, or not one operation."""
        operation = self.execution_context
        document = operation.graphql_document
        if document is not None:
            if self._prepared is None:
                self._prepared = _schema_of(operation).documents.prepare(operation.query or "", document)
            given_name = operation._provided_operation_name  # noqa: SLF001  # operation_name falls back to the first one
            errors, self._cost = self._prepared.check(given_name, operation.variables)
            if operation.context is not None:
                operation.context.plans, operation.context.fields = self._prepared.plans, self._prepared.fields
            operation.pre_execution_errors = errors
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        """Bound the time of a query, and count the upstream calls of queries and mutations."""
        kind = self.execution_context.operation_type
        if kind is OperationType.SUBSCRIPTION:
            yield
            return
        limit_s = _schema_of(self.execution_context).query_timeout_s if kind is OperationType.QUERY else None
        deadline = asyncio.timeout(limit_s)
        with recording_calls() as self._calls:
            try:
                async with deadline:
                    yield
            except TimeoutError as error:
                if deadline.expired():
                    raise OperationTimeoutError(f"The query took longer than {limit_s:g} s.") from error
                raise

    def get_results(self) -> dict[str, Any]:
        """Tell what the operation cost: upstream calls per system, and its complexity by schema/limits.py."""
        if self._calls is None:
            return {}
        calls = Counter(call.system for call in self._calls)
        return {"cost": {"upstreamCalls": dict(calls), "complexity": self._cost, "maxComplexity": MAX_COST}}


class GatewaySchema(strawberry.Schema):
    """The schema as it is served; `make_schema` makes it."""

    def __init__(
        self,
        query: type,
        mutation: type | None,
        subscription: type | None,
        *,
        introspection: bool,
        query_timeout_s: float,
        max_subscriptions: int,
    ) -> None:
        super().__init__(
            query=query,
            mutation=mutation,
            subscription=subscription,
            extensions=[OperationSteps],
            execution_context_class=PlanningExecutor,
            config=StrawberryConfig(scalar_map=SCALARS),
        )
        _leave_out_null_defaults(self._schema)
        self.query_timeout_s = query_timeout_s
        self.subscriptions = OpenSubscriptions(max_subscriptions)
        self.documents = Documents(self._schema, introspection=introspection)

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Translate the errors of an operation, in place."""
        translate_errors(errors, execution_context.graphql_document if execution_context else None)

    def operation_type(self, query: str | None, operation_name: str | None) -> OperationType | None:
        """Tell what kind of operation would be run; None where that can't be said, which running it explains."""
        if not query or len(query) > MAX_DOCUMENT_CHARACTERS:
            return None
        try:
            return get_operation_type(self.documents.parse(query), operation_name)
        except (GraphQLError, RuntimeError):
            return None

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Run one operation with a context of its own."""
        if refused := _refuse_long(query):
            return refused
        return await super().execute(
            query,
            variable_values=variable_values,
            context_value=context_value.for_operation() if context_value is not None else None,
            root_value=root_value,
            operation_name=operation_name,
            allowed_operation_types=allowed_operation_types,
            operation_extensions=operation_extensions,
        )

    async def start(
        self,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
        context: Context,
    ) -> Subscription | PreExecutionError:
        """Start a subscription, which `operation_type` has told, with a context of its own."""
        if refused := self.subscriptions.refuse():
            return refused
        prepared = self.documents.find(query) or self.documents.prepare(query, self.documents.parse(query))
        errors, _ = prepared.check(operation_name, variables)
        if errors:
            return refusal(errors, prepared)
        return await start(self._schema, prepared, context.for_operation(), variables, operation_name)


def make_schema(
    query: type,
    mutation: type | None = None,
    subscription: type | None = None,
    *,
    introspection: bool = True,
    query_timeout_s: float = QUERY_TIMEOUT_S,
    max_subscriptions: int = MAX_SUBSCRIPTIONS,
) -> GatewaySchema:
    """Make the schema of these root types with the gateway's scalars, limits, caches and errors."""
    return GatewaySchema(
        query,
        mutation,
        subscription,
        introspection=introspection,
        query_timeout_s=query_timeout_s,
        max_subscriptions=max_subscriptions,
    )


def _leave_out_null_defaults(schema: GraphQLSchema) -> None:
    """Take away the defaults that are null: to leave such an argument out means the same, and is the contract."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType):
            for field in type_.fields.values():
                for argument in field.args.values():
                    if argument.default_value is None:
                        argument.default_value = Undefined
        elif isinstance(type_, GraphQLInputObjectType):
            for input_field in type_.fields.values():
                if input_field.default_value is None:
                    input_field.default_value = Undefined


def _schema_of(operation: ExecutionContext) -> GatewaySchema:
    schema = operation.schema
    if not isinstance(schema, GatewaySchema):
        raise TypeError(f"{type(schema).__name__} is not the gateway's schema")
    return schema


def _refuse_long(query: str | None) -> PreExecutionError | None:
    if query is None or len(query) <= MAX_DOCUMENT_CHARACTERS:
        return None
    error = too_complex("length in characters", len(query), MAX_DOCUMENT_CHARACTERS)
    return PreExecutionError(data=None, errors=[error])
