"""Starting builds of what was uploaded: checked, stored in S3, the row written, then handed to the builder.

A crash after the row leaves a build that recovery ends as FAILED, and never two builds. Credentials of a registry
go to the builder alone: they are neither stored nor logged.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from gateway.builds.journal import BuildJournal
from gateway.builds.pipeline import default_tag
from gateway.builds.poller import BuildPoller
from gateway.builds.states import fail, first_step
from gateway.errors import (
    BuilderError,
    DynamoDBError,
    InvalidInputError,
    NotFoundError,
    PayloadTooLargeError,
    S3Error,
)
from gateway.records.builds import AcceptedTask, BuildKind, BuildRecord
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.services import build_inputs as inputs
from gateway.services.ids import new_build_id
from gateway.services.validation import check_function_id, check_workspace_id
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.s3 import SourceBucket

logger = logging.getLogger(__name__)

Submit = Callable[[BuildRecord], Awaitable[AcceptedTask]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUpload:
    """A file as it came: spooled to disk by whoever received it, and read from there in parts."""

    filename: str | None
    file: BinaryIO
    size_bytes: int


class BuildStartService:
    """The mutations that build an uploaded source."""

    def __init__(
        self,
        *,
        dynamo: Dynamo,
        sources: SourceBucket,
        builder: Builder,
        journal: BuildJournal,
        poller: BuildPoller,
        clock: Clock,
        registry_url: str | None,
        max_upload_bytes: int,
    ) -> None:
        self._dynamo = dynamo
        self._sources = sources
        self._builder = builder
        self._journal = journal
        self._poller = poller
        self._clock = clock
        self._registry_url = registry_url
        self._max_upload_bytes = max_upload_bytes

    async def start_build(
        self,
        *,
        workspace_id: str,
        upload: SourceUpload,
        function_id: str | None = None,
        app_name: str | None = None,
    ) -> BuildRecord:
        """Build a source; answers once the builder has accepted it. What it refuses is raised, and FAILED."""
        app_name = inputs.check_app_name(app_name)
        filename = inputs.check_filename(upload.filename)
        build = await self._new_build(BuildKind.BUILD, workspace_id, function_id, app_name, filename, upload)

        async def submit(stored: BuildRecord) -> AcceptedTask:
            return await self._builder.start_build(stored.workspace_id, filename, upload.file, app_name=app_name)

        return await self._start(build, filename, upload, submit)

    async def start_build_and_push(
        self,
        *,
        workspace_id: str,
        upload: SourceUpload,
        function_id: str | None = None,
        app_name: str | None = None,
        registry_url: str | None = None,
        username: str | None = None,
        password: str | None = None,
        tag: str | None = None,
    ) -> BuildRecord:
        """Build a source and push the image; answers like `start_build`. Without a tag it is `task-{build id}`."""
        app_name = inputs.check_app_name(app_name)
        filename = inputs.check_filename(upload.filename)
        tag = inputs.check_tag(tag)
        registry = inputs.check_registry_url(registry_url) or self._registry_url
        user = inputs.check_credential(username, field="username")
        secret = inputs.check_credential(password, field="password")
        if bool(user) != bool(secret):
            missing = "password" if user else "username"
            message = "username and password come together; leave both out to use the builder's own IAM role."
            raise InvalidInputError(message, field=missing)
        kind = BuildKind.BUILD_AND_PUSH
        build = await self._new_build(kind, workspace_id, function_id, app_name, filename, upload, registry, tag)

        async def submit(stored: BuildRecord) -> AcceptedTask:
            return await self._builder.start_build_and_push(
                stored.workspace_id,
                filename,
                upload.file,
                app_name=app_name,
                tag=tag or default_tag(stored.id),
                registry_url=registry,
                username=user,
                password=secret,
            )

        return await self._start(build, filename, upload, submit)

    async def _new_build(
        self,
        kind: BuildKind,
        workspace_id: str,
        function_id: str | None,
        app_name: str | None,
        filename: str,
        upload: SourceUpload,
        registry_url: str | None = None,
        tag: str | None = None,
    ) -> BuildRecord:
        check_workspace_id(workspace_id)
        if upload.size_bytes > self._max_upload_bytes:
            message = f"file must have at most {self._max_upload_bytes} bytes; it has {upload.size_bytes}."
            raise PayloadTooLargeError(message, field="file")
        await self._require(workspace_id, function_id)
        build_id, now = new_build_id(), self._clock()
        return BuildRecord(
            id=build_id,
            workspace_id=workspace_id,
            kind=kind,
            status=first_step(kind, now).status,
            app_name=app_name or inputs.strip_name(filename.rpartition(".")[0]),
            created_at=now,
            updated_at=now,
            function_id=function_id,
            expected_image=f"{registry_url}:{tag or default_tag(build_id)}" if registry_url else None,
            steps=(first_step(kind, now),),
        )

    async def _require(self, workspace_id: str, function_id: str | None) -> None:
        """Refuse what is not there before anything is stored; the build's transaction checks it again."""
        if function_id is not None:
            check_function_id(function_id)
            function: FunctionRecord | None = await self._dynamo.functions.get(function_id)
            if function is None or function.workspace_id != workspace_id:
                message = f"There is no function {function_id} in {workspace_id}."
                raise NotFoundError(message, field="functionId")
        elif await self._dynamo.workspaces.get(workspace_id) is None:
            raise NotFoundError(f"There is no workspace {workspace_id}.", field="workspaceId")

    async def _start(self, build: BuildRecord, filename: str, upload: SourceUpload, submit: Submit) -> BuildRecord:
        build = await self._store(build, filename, upload)
        try:
            accepted = await submit(build)
        except BaseException as error:
            # A caller that hung up ends it too: nobody else would carry a build that has no task.
            reason = error.message if isinstance(error, BuilderError) else "The start was interrupted."
            await self._journal.store(build, fail(build, reason, self._clock()))
            raise
        try:
            current = await self._journal.accept(build, accepted.task_id, None)
        except DynamoDBError:
            logger.warning("build %s: the row could not be told of task %s yet", build.id, accepted.task_id)
            self._poller.follow(build, accepted=replace(accepted, source_path=None))
            return build
        if current is None:
            raise NotFoundError(f"The workspace {build.workspace_id} was deleted.", field="workspaceId")
        self._poller.follow(current)
        return current

    async def _store(self, build: BuildRecord, filename: str, upload: SourceUpload) -> BuildRecord:
        """S3 first, then the row: what fails in between leaves at most an object that nothing refers to."""
        path = await self._sources.write_upload(build.workspace_id, build.id, filename, upload.file)
        try:
            return await self._journal.create(replace(build, source_path=path))
        except BaseException:
            try:
                await self._sources.delete_uploads(build.workspace_id, build.id)
            except S3Error:
                logger.warning("the upload of build %s, which was not started, stays in S3", build.id)
            raise
