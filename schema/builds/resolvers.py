"""Pages of builds and deployments, for the types that have such lists."""

from gateway.records.functions import FunctionRecord
from schema.builds.types import Build, BuildConnection, Deployment, DeploymentConnection
from schema.context import Info
from schema.pagination import check_first, decode_cursor


async def resolve_workspace_builds(
    info: Info, *, workspace_id: str, first: int, after: str | None
) -> BuildConnection:
    """A page of a workspace's builds, newest first."""
    kind = f"builds:{workspace_id}"
    position = decode_cursor(kind, after)
    builds = info.context.resources.dynamo.builds
    page = await builds.list_of_workspace(workspace_id, first=check_first(first), after=position)
    return BuildConnection.from_page(page, kind, Build.from_record)


async def resolve_function_builds(
    info: Info, *, function_id: str, first: int, after: str | None
) -> BuildConnection:
    """A page of a function's builds, newest first."""
    kind = f"builds:{function_id}"
    position = decode_cursor(kind, after)
    builds = info.context.resources.dynamo.builds
    page = await builds.list_of_function(function_id, first=check_first(first), after=position)
    return BuildConnection.from_page(page, kind, Build.from_record)


async def resolve_deployments(
    info: Info, function: FunctionRecord, *, first: int, after: str | None
) -> DeploymentConnection:
    """A page of a function's deployments, newest first; the function says which of them is the current one."""
    kind = f"deployments:{function.id}"
    position = decode_cursor(kind, after)
    deployments = info.context.resources.dynamo.deployments
    page = await deployments.list_of_function(
        function.workspace_id, function.id, first=check_first(first), after=position
    )
    return DeploymentConnection.from_page(page, kind, lambda record: Deployment.from_record(record, function))
