"""What a build of an upload is when it is stored; nothing has been handed to the builder yet."""

from datetime import datetime

from gateway.builds.handover import default_tag
from gateway.builds.states import first_step
from gateway.records.builds import BuildKind, BuildRecord
from gateway.services.ids import new_build_id


def new_build(
    kind: BuildKind,
    workspace_id: str,
    app_name: str,
    now: datetime,
    *,
    function_id: str | None = None,
    registry_url: str | None = None,
    tag: str | None = None,
    has_credentials: bool = False,
) -> BuildRecord:
    """A build in its first status, with what it takes to hand it over later; credentials are never stored."""
    build_id = new_build_id()
    step = first_step(kind, now)
    return BuildRecord(
        id=build_id,
        workspace_id=workspace_id,
        kind=kind,
        status=step.status,
        app_name=app_name,
        created_at=now,
        updated_at=now,
        function_id=function_id,
        expected_image=f"{registry_url}:{tag or default_tag(build_id)}" if registry_url else None,
        tag=tag,
        has_credentials=has_credentials,
        steps=(step,),
    )
