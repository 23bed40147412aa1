"""Functions as the API shows them."""

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated

import strawberry

from gateway.errors import InvalidInputError, NotFoundError
from gateway.records.functions import Figures, FunctionRecord
from gateway.records.logs import LogDirection
from schema.builds.loaders import BuildByIdLoader
from schema.builds.resolvers import resolve_deployments, resolve_function_builds
from schema.builds.types import Build, BuildConnection, DeploymentConnection
from schema.context import Context, Info
from schema.early import by_id
from schema.execution_logs.types import ExecutionLogConnection, ExecutionLogFilter, resolve_execution_logs
from schema.figures import RollingFigures
from schema.functions.attributes import attributes_of
from schema.functions.enums import FunctionStatus, HttpMethod
from schema.functions.loaders import FunctionCountLoader, SourceLoader
from schema.functions.values import MAX_HISTORY_HOURS, EnvironmentVariable, InvocationBucket, buckets_of
from schema.logs.types import LogConnection, resolve_logs
from schema.metrics.types import FunctionMetrics, resolve_metrics
from schema.node import Node
from schema.pagination import Connection
from schema.plans import plain
from schema.rows import load_function_figures
from schema.scalars import Base64Bytes
from schema.workspaces.loaders import WorkspaceByIdLoader

if TYPE_CHECKING:
    from schema.workspaces.types import Workspace


@strawberry.type(description="A Python function.")
class Function(Node, RollingFigures):
    """A function."""

    name: str = strawberry.field(description="Its name, 1 to 100 characters; names need not be unique.")
    description: str = strawberry.field(description="What it is for; may be empty.")
    runtime: str = strawberry.field(description='Such as "Python 3.12".')
    memory: int = strawberry.field(description="Memory limit in MB, 128 to 1024.")
    timeout: int = strawberry.field(description="Seconds after which an invocation is given up, 1 to 900.")
    http_methods: list[HttpMethod] = strawberry.field(description="The methods it may be invoked with.")
    environment_variables: list[EnvironmentVariable] = strawberry.field(
        description="What it finds in its environment, by name; takes effect with the next deploy."
    )
    status: FunctionStatus = strawberry.field(
        description="A new function is ACTIVE with no invocationUrl. Clients may set ACTIVE and DISABLED only."
    )
    not_invocable_reason: str | None = strawberry.field(
        description="Why it cannot be invoked now, in words; null when it can."
    )
    has_undeployed_changes: bool = strawberry.field(
        description="True when source, environment or limits changed after the last deploy."
    )
    invocation_url: str | None = strawberry.field(
        description="Where the platform runs it, usually a cluster-internal address; null before the first deploy."
    )
    created_at: datetime | None = strawberry.field(description="When it was created; null for the oldest ones.")
    last_modified: datetime = strawberry.field(
        description="When its configuration or source was last changed; invocations do not move it."
    )
    last_deployed: datetime | None = strawberry.field(description="When it was last deployed.")
    record: strawberry.Private[FunctionRecord]

    @strawberry.field(description="The workspace it belongs to.")
    async def workspace(self, info: Info) -> Annotated["Workspace", strawberry.lazy("schema.workspaces.types")]:
        """Load the workspace by id."""
        from schema.workspaces.types import Workspace  # the two types refer to each other

        record = await info.context.loader(WorkspaceByIdLoader).load(self.record.workspace_id)
        if record is None:
            raise NotFoundError(f"There is no workspace {self.record.workspace_id}.")
        return Workspace.from_record(record)

    @strawberry.field(
        description="The Python source, Base64. Read from storage only when asked for; null with an error when "
        "storage cannot answer."
    )
    async def code(self, info: Info) -> Base64Bytes | None:
        """Read the source from S3."""
        source = await info.context.loader(SourceLoader).load((self.record.workspace_id, self.id))
        return None if source is None else Base64Bytes(source)

    @strawberry.field(
        description="The address people outside the cluster call: this gateway's invoke route for the function."
    )
    def endpoint(self, info: Info) -> str:
        """Derive it from the gateway's own address."""
        return f"{info.context.resources.base_url}/invoke/{self.id}/"

    async def load_figures(self, context: Context) -> Figures:
        """Read the row of the figures."""
        return await load_function_figures(context, self.record.workspace_id, self.id)

    @strawberry.field(
        description="Mean duration of the last 24 hours' invocations, in ms; 0 when there were none.",
        metadata=plain(attrgetter("figures.avg_duration_ms")),
    )
    def avg_duration(self, info: Info) -> float:
        """Divide the sums."""
        return self.derive(info, lambda figures: figures.avg_duration_ms)  # type: ignore[return-value]  # or awaitable

    @strawberry.field(
        description="One bucket an hour, oldest first, the current hour last; hours with no invocation are "
        "present with zeros.",
        metadata=plain(lambda function: buckets_of(function.figures, MAX_HISTORY_HOURS)),
    )
    def invocation_history(
        self, info: Info, hours: Annotated[int, strawberry.argument(description="How many hours, 1 to 24.")] = 24
    ) -> list[InvocationBucket]:
        """Cut the window."""
        if not 1 <= hours <= MAX_HISTORY_HOURS:
            raise InvalidInputError(f"hours must be 1 to {MAX_HISTORY_HOURS}; it is {hours}.", field="hours")
        return self.derive(info, lambda figures: buckets_of(figures, hours))  # type: ignore[return-value]  # or awaitable

    @strawberry.field(description="Its invocations as they were recorded, newest first.", metadata=by_id())
    async def execution_logs(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 1000.")] = 100,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
        filter: Annotated[
            ExecutionLogFilter | None, strawberry.argument(description="Which ones are wanted.")
        ] = None,
    ) -> ExecutionLogConnection:
        """Read a page of the function's logs."""
        return await resolve_execution_logs(info, first=first, after=after, wanted=filter, function_id=self.id)

    @strawberry.field(
        description="The pods' own output, from Loki. Null with an error when Loki cannot answer; the rest of "
        "the query is unharmed.",
        metadata=by_id(),
    )
    async def logs(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many lines, 1 to 1000.")] = 100,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
        since: Annotated[datetime | None, strawberry.argument(description="From this time on, inclusive.")] = None,
        until: Annotated[datetime | None, strawberry.argument(description="Up to this time, exclusive.")] = None,
        contains: Annotated[
            str | None, strawberry.argument(description="Only lines that contain this text, case and all.")
        ] = None,
        direction: Annotated[
            LogDirection, strawberry.argument(description="In which order.")
        ] = LogDirection.NEWEST_FIRST,
    ) -> LogConnection | None:
        """Read a page of lines from Loki."""
        return await resolve_logs(
            info,
            function_id=self.id,
            first=first,
            after=after,
            since=since,
            until=until,
            contains=contains,
            direction=direction,
        )

    @strawberry.field(
        description="From Prometheus. Null with an error when it cannot answer at all; status PARTIAL when some "
        "of the queries failed.",
        metadata=by_id(),
    )
    async def metrics(
        self,
        info: Info,
        window: Annotated[int, strawberry.argument(description="How many seconds back from now.")] = 3600,
        step: Annotated[
            int | None,
            strawberry.argument(description="Seconds between two points; by default fit to the window."),
        ] = None,
    ) -> FunctionMetrics | None:
        """Query Prometheus."""
        return await resolve_metrics(info, function_id=self.id, window=window, step=step)

    @strawberry.field(description="Its builds, newest first.", metadata=by_id())
    async def builds(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
    ) -> BuildConnection:
        """Read a page of the function's builds."""
        return await resolve_function_builds(info, function_id=self.id, first=first, after=after)

    @strawberry.field(description="The build that was started last, if any.")
    async def latest_build(self, info: Info) -> Build | None:
        """Load the build that the function's row names."""
        if self.record.latest_build_id is None:
            return None
        record = await info.context.loader(BuildByIdLoader).load(self.record.latest_build_id)
        return None if record is None else Build.from_record(record)

    @strawberry.field(description="What was deployed of it, newest first.")
    async def deployments(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="The cursor to start after.")] = None,
    ) -> DeploymentConnection:
        """Read a page of the function's deployments."""
        return await resolve_deployments(info, self.record, first=first, after=after)

    @classmethod
    def from_record(cls, record: FunctionRecord, context: Context, figures: Figures | None = None) -> "Function":
        """Make the type of a record for an operation, with its figures where they were read with it."""
        function = cls.__new__(cls)
        function.id, function.record, function.figures = strawberry.ID(record.id), record, figures
        vars(function).update(attributes_of(record, context))
        return function


@strawberry.type(description="A page of functions.")
class FunctionConnection(Connection[Function]):
    """A page of functions."""

    workspace_id: strawberry.Private[str] = ""
    name_contains: strawberry.Private[str | None] = None

    @strawberry.field(description="How many there are in all; with `nameContains`, how many match.")
    async def total_count(self, info: Info) -> int:
        """The workspace counts its functions; matches are counted by reading all names."""
        if self.name_contains is not None:
            counter = info.context.loader(FunctionCountLoader)
            return await counter.load((self.workspace_id, self.name_contains)) or 0
        workspace = await info.context.loader(WorkspaceByIdLoader).load(self.workspace_id)
        return 0 if workspace is None else workspace.function_count
