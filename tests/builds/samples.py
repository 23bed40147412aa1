"""What the tests of builds start from: records, an upload, and waiting for something to hold."""

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.builds.states import first_step
from gateway.records.builds import BuildKind, BuildRecord, DeploySpec
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.records.workspaces import WorkspaceRecord
from gateway.services.ids import new_build_id, new_function_id
from gateway.services.uploads import SourceUpload

START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SOURCE = b"print('hello')\n"


async def eventually(holds: Callable[[], Awaitable[bool]], *, seconds: float = 5) -> None:
    """Wait until something holds; TimeoutError where it does not."""
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


def an_upload(filename: str | None = "hello.py", content: bytes = SOURCE) -> SourceUpload:
    """A file as a request brought it."""
    return SourceUpload(filename=filename, file=io.BytesIO(content), size_bytes=len(content))


def a_zip(**files: str | bytes) -> bytes:
    """A zip with a manifest and these files; a double underscore in a name stands for the dot."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        contents: dict[str, str | bytes] = {"spin__toml": "", "app__py": SOURCE, **files}
        for name, content in contents.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def a_workspace(workspace_id: str, now: datetime) -> WorkspaceRecord:
    """An empty workspace."""
    return WorkspaceRecord(id=workspace_id, name="Team", description="", created_at=now, function_count=0)


def a_function(workspace_id: str, now: datetime) -> FunctionRecord:
    """A function that was never deployed."""
    return FunctionRecord(
        id=new_function_id(),
        workspace_id=workspace_id,
        name="Hello World",
        description="",
        runtime="Python 3.12",
        memory=256,
        timeout=30,
        http_methods=(HttpMethod.GET,),
        environment_variables={"GREETING": "hi"},
        status=FunctionStatus.ACTIVE,
        invocation_url=None,
        created_at=now,
        last_modified=now,
        last_deployed=None,
        revision=1,
    )


def a_build(kind: BuildKind = BuildKind.BUILD_AND_PUSH, **changes: Any) -> BuildRecord:
    """A build that was just started."""
    step = first_step(kind, START)
    build = BuildRecord(
        id=new_build_id(),
        workspace_id="ws-1a2b3c4d",
        kind=kind,
        status=step.status,
        app_name="hello",
        created_at=START,
        updated_at=START,
        steps=(step,),
    )
    return replace(build, **changes)


def a_spec(**changes: Any) -> DeploySpec:
    """How to deploy."""
    spec = DeploySpec(
        app_name="hello", namespace="default", enable_autoscaling=True, replicas=None, use_spot=True, revision=1
    )
    return replace(spec, **changes)
