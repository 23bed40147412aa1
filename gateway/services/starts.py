"""Starting builds of what was uploaded, or uploaded before: checked, stored, then handed to the builder.

A crash after the row leaves a build that another replica takes up, and never two at the builder: handover.py says
how. Credentials of a registry go to the builder alone: they are neither stored nor logged.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.builds.handover import default_tag
from gateway.builds.journal import BuildJournal
from gateway.builds.journey import new_attempt
from gateway.builds.messages import conceal
from gateway.builds.poller import BuildPoller
from gateway.builds.states import fail
from gateway.errors import BuilderError, DynamoDBError, NotFoundError, S3Error
from gateway.records.builder import AcceptedTask
from gateway.records.builds import BuildChangedError, BuildKind, BuildRecord, LeaseLostError
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.services import build_inputs as inputs
from gateway.services.new_builds import new_build
from gateway.services.uploads import SourceUpload, check_upload
from gateway.services.validation import check_function_id, check_workspace_id
from gateway.upstream.builder import BeforeEnd, Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.s3 import SourceBucket

logger = logging.getLogger(__name__)

Submit = Callable[[BuildRecord, BeforeEnd], Awaitable[AcceptedTask]]


class BuildStartService:
    """The mutations that hand a source to the builder."""

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
        name = inputs.check_app_name(app_name)
        filename = await self._check(workspace_id, function_id, upload)
        build = new_build(
            BuildKind.BUILD,
            workspace_id,
            name or inputs.app_of(filename),
            self._clock(),
            function_id=function_id,
        )

        async def submit(_: BuildRecord, before_end: BeforeEnd) -> AcceptedTask:
            return await self._builder.start_build(
                workspace_id, filename, upload.file, app_name=name, before_end=before_end
            )

        return await self._start(await self._store(build, filename, upload), submit)

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
        name = inputs.check_app_name(app_name)
        tag = inputs.check_tag(tag)
        registry = inputs.check_registry_url(registry_url) or self._registry_url
        user, secret = inputs.check_credentials(username, password)
        filename = await self._check(workspace_id, function_id, upload)
        build = new_build(
            BuildKind.BUILD_AND_PUSH,
            workspace_id,
            name or inputs.app_of(filename),
            self._clock(),
            function_id=function_id,
            registry_url=registry,
            tag=tag,
            has_credentials=bool(user or secret),
        )

        async def submit(stored: BuildRecord, before_end: BeforeEnd) -> AcceptedTask:
            return await self._builder.start_build_and_push(
                workspace_id,
                filename,
                upload.file,
                app_name=name,
                tag=tag or default_tag(stored.id),
                registry_url=registry,
                username=user,
                password=secret,
                before_end=before_end,
            )

        return await self._start(await self._store(build, filename, upload), submit, secret)

    async def start_push(
        self,
        *,
        workspace_id: str,
        registry_url: str,
        source_path: str,
        username: str | None = None,
        password: str | None = None,
        tag: str | None = None,
    ) -> BuildRecord:
        """Push the image of a source that was uploaded to this workspace before; answers like `start_build`."""
        check_workspace_id(workspace_id)
        registry = inputs.check_registry_url(registry_url) or ""
        tag = inputs.check_tag(tag)
        user, secret = inputs.check_credentials(username, password)
        key = inputs.check_source_path(source_path, bucket=self._sources.name, workspace_id=workspace_id)
        await self._require(workspace_id, None)
        if not await self._sources.has_object(key):
            raise NotFoundError(f"There is no source {source_path}.", field="sourcePath")
        build = new_build(
            BuildKind.PUSH,
            workspace_id,
            inputs.app_of(key.rpartition("/")[2]),
            self._clock(),
            registry_url=registry,
            tag=tag,
            has_credentials=bool(user or secret),
        )

        async def submit(stored: BuildRecord, before_end: BeforeEnd) -> AcceptedTask:
            return await self._builder.start_push(
                workspace_id,
                source_path,
                registry_url=registry,
                tag=tag or default_tag(stored.id),
                username=user,
                password=secret,
                before_end=before_end,
            )

        return await self._start(
            await self._journal.create(replace(build, source_path=source_path)), submit, secret
        )

    async def _check(self, workspace_id: str, function_id: str | None, upload: SourceUpload) -> str:
        """Refuse what can't be built before anything is stored; answers the file's name as it is used."""
        check_workspace_id(workspace_id)
        filename = inputs.check_filename(upload.filename)
        await self._require(workspace_id, function_id)
        await check_upload(upload, filename, max_bytes=self._max_upload_bytes)
        return filename

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

    async def _start(self, build: BuildRecord, submit: Submit, secret: str = "") -> BuildRecord:
        """Hand a stored build to the builder; `secret` is cut out of what it says.

        One that was cancelled before the builder had all of it is answered as it is.
        """
        attempt = new_attempt()

        async def before_end() -> None:
            await self._journal.mark_sent(build, attempt)

        try:
            accepted = await submit(build, before_end)
        except (BuildChangedError, LeaseLostError):
            return await self._follow_changed(build)
        except BuilderError as error:
            refusal = conceal(error, secret)
            await self._end(build, refusal.message)
            raise refusal from None  # the builder's own words may hold the secret
        except BaseException:
            # A caller that hung up ends it too: nobody else would carry a build that has no task.
            await self._end(build, "The start was interrupted.")
            raise
        try:
            current = await self._journal.accept(build, accepted.task_id, None)
        except BaseException as error:
            logger.warning("build %s: the row could not be told of task %s yet", build.id, accepted.task_id)
            self._poller.follow(build, accepted=replace(accepted, source_path=None), secret=secret)
            if isinstance(error, DynamoDBError):
                return build
            raise  # its caller is gone
        stored = _still_there(current, build)
        self._poller.follow(stored, secret=secret)
        return stored

    async def _end(self, build: BuildRecord, reason: str) -> None:
        """End a build that was not started; where the row can't be told, the poller ends it as soon as it can."""
        try:
            await self._journal.store(build, fail(build, reason, self._clock()))
        except BaseException as error:
            self._poller.follow(build, refusal=reason)
            if not isinstance(error, DynamoDBError):
                raise

    async def _follow_changed(self, build: BuildRecord) -> BuildRecord:
        """Answer a build that another has changed, or may carry; where none does, this process goes on with it."""
        current = build
        try:
            current = _still_there(await self._journal.read_again(build), build)
            return current
        finally:
            self._poller.follow(current)

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


def _still_there(stored: BuildRecord | None, build: BuildRecord) -> BuildRecord:
    if stored is None:
        raise NotFoundError(f"The workspace {build.workspace_id} was deleted.", field="workspaceId")
    return stored
