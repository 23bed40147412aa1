"""The root types: every domain's fields together."""

import strawberry

from schema.builds.mutations import BuildMutations
from schema.builds.queries import BuildQueries
from schema.builds.subscriptions import BuildSubscriptions
from schema.engine import GatewaySchema, make_schema
from schema.execution_logs.subscriptions import ExecutionLogSubscriptions
from schema.functions.mutations import FunctionMutations
from schema.functions.queries import FunctionQueries
from schema.logs.subscriptions import LogSubscriptions
from schema.nodes import NodeQueries
from schema.platform.types import PlatformQueries
from schema.workspaces.mutations import WorkspaceMutations
from schema.workspaces.queries import WorkspaceQueries


@strawberry.type(description="What can be read.")
class Query(NodeQueries, WorkspaceQueries, FunctionQueries, BuildQueries, PlatformQueries):
    """The root of queries."""


@strawberry.type(description="What can be done. Every mutation takes one input and answers a payload.")
class Mutation(WorkspaceMutations, FunctionMutations, BuildMutations):
    """The root of mutations."""


@strawberry.type(description="What can be followed live.")
class Subscription(BuildSubscriptions, ExecutionLogSubscriptions, LogSubscriptions):
    """The root of subscriptions."""


def build_schema(*, introspection: bool = True) -> GatewaySchema:
    """Make the schema that is served."""
    return make_schema(Query, Mutation, Subscription, introspection=introspection)
