"""Following builds live."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Annotated

import strawberry

from gateway.errors import InvalidInputError, NotFoundError
from gateway.services.validation import check_build_id, check_workspace_id
from schema.builds.inputs import given
from schema.builds.types import BuildEvent
from schema.context import Info
from schema.subscriptions import NumberedEvents
from schema.workspaces.loaders import WorkspaceByIdLoader


@strawberry.type
class BuildSubscriptions:
    """The subscriptions of builds."""

    @strawberry.subscription(
        description="The build as it is now, then every change, then completion, which always means that it has "
        "finished."
    )
    def build_progress(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The build's id.")],
        after: Annotated[
            int | None,
            strawberry.argument(
                description="The last sequence that the client has seen, for one that reconnects: it gets what "
                "came after it. 0 gives every change from the first on."
            ),
        ] = strawberry.UNSET,
    ) -> AsyncIterable[BuildEvent]:
        """Watch one build; those who ask for the same share its events."""
        seen, build_id, feed = given(after), check_build_id(id), info.context.resources.feed
        if seen is not None and seen < 0:
            raise InvalidInputError("after must be a sequence number, 0 or more.", field="after")
        return NumberedEvents(lambda seen: feed.watch(build_id, seen), BuildEvent.from_record, seen)

    @strawberry.subscription(
        description="The workspace's unfinished builds as they are now, then every change of every build, those "
        "started later included. Does not complete by itself."
    )
    async def workspace_builds(
        self,
        info: Info,
        workspace_id: Annotated[strawberry.ID, strawberry.argument(description="The workspace's id.")],
    ) -> AsyncGenerator[BuildEvent, None]:
        """Watch all builds of a workspace."""
        check_workspace_id(workspace_id)
        if await info.context.loader(WorkspaceByIdLoader).load(workspace_id) is None:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="workspaceId")
        with info.context.resources.feed.watch_workspace(workspace_id) as watcher:
            async for event in watcher:
                yield BuildEvent.from_record(event)
