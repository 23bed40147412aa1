"""Handing builds to the Builder Service: at most once each, whatever dies on the way.

The builder has no key by which it would know a request that is repeated, so that the row decides: before a request
ends, its attempt is noted there, where no other was. Without that end the builder has no build; where it answers
that it takes nothing now, the note is taken back. A build without a note was surely never accepted, and is handed
over again by whoever takes it up; one with a note is never, and its task is looked for instead.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import IO

from gateway.builds.journal import BuildJournal
from gateway.builds.journey import Journey
from gateway.builds.messages import explain_error
from gateway.builds.states import fail
from gateway.errors import BuilderBusyError, BuilderError
from gateway.records.builder import AcceptedTask, BuilderTask, clean_name
from gateway.records.builds import BuildKind, BuildRecord
from gateway.records.clock import Clock
from gateway.upstream.builder import BeforeEnd, Builder
from gateway.upstream.dynamo.builds import BuildTable
from gateway.upstream.dynamo.handovers import is_task_id

SEARCH_S = 60.0
"""As long as a process that lives would have waited for the builder's answer to an upload."""
EARLIER = timedelta(seconds=5)
"""By which a task may seem to be older than its build: the builder has a clock of its own."""
RIVAL = timedelta(minutes=10)
"""Between two builds of one app whose tasks could be taken for each other's: a build's whole time."""
NEVER_ACCEPTED = "was never accepted by the builder"

Send = Callable[[BeforeEnd], Awaitable[AcceptedTask]]
ReadUpload = Callable[[str, IO[bytes]], Awaitable[bool]]
"""Copies what is at an `s3://` address into a file; False where nothing is."""


def default_tag(build_id: str) -> str:
    """The tag of a build that was given none: two builds with one tag would overwrite each other."""
    return f"task-{build_id}"


async def hand_over(journal: BuildJournal, journey: Journey, send: Send, clock: Clock) -> BuildRecord | None:
    """Send a build to the builder and store its task; what the builder refuses for good fails the build.

    A builder that can't be reached, takes nothing now, or does not say what became of the build, is raised. Where
    it has surely not accepted it, there is no note of it afterwards: it may be sent again. BuildChangedError and
    LeaseLostError are the note's; nothing was accepted then.
    """
    build = journey.build

    async def before_end() -> None:
        journey.build = await journal.mark_sent(build, journey.attempt)

    try:
        journey.accepted = await send(before_end)
    except BuilderError as error:
        if not error.retryable:
            return await journal.store(journey.build, fail(journey.build, explain_error(error), clock()))
        if isinstance(error, BuilderBusyError) and journey.build.sent_by is not None:
            journey.build = build
            await journal.unmark_sent(build, journey.attempt)
        raise
    return await journal.accept(journey.build, journey.accepted.task_id, journey.accepted.source_path)


class Handover:
    """Takes up builds that another process was about to hand over, or did without learning what became of it."""

    def __init__(
        self, *, builds: BuildTable, builder: Builder, journal: BuildJournal, read_upload: ReadUpload, clock: Clock
    ) -> None:
        self._builds = builds
        self._builder = builder
        self._journal = journal
        self._read_upload = read_upload
        self._clock = clock

    async def resume(self, journey: Journey) -> BuildRecord | None:
        """Hand over what was uploaded for a build that nobody has handed over."""
        build = journey.build
        if build.has_credentials:
            reason = "the gateway stopped before, and does not store the registry's credentials"
            return await self._fail(build, f"{NEVER_ACCEPTED}: {reason}. Start it again.")
        if build.source_path is None:
            return await self._fail(build, NEVER_ACCEPTED)
        if build.kind is BuildKind.PUSH:
            return await self._hand_over(journey, build.source_path, None)
        with TemporaryFile() as file:
            if not await self._read_upload(build.source_path, file):
                return await self._fail(build, f"{NEVER_ACCEPTED}, and its source is gone")
            return await self._hand_over(journey, build.source_path, file)

    async def search(self, journey: Journey) -> BuildRecord | None:
        """Look for the task of a build that was handed over; without one for SEARCH_S the build fails."""
        build, now = journey.build, self._clock()
        journey.searched_since = journey.searched_since or now
        tasks = [task for task in await self._builder.list_tasks(build.workspace_id) if _may_be_of(task, build)]
        sent = await self._builds.handovers.list_sent(build.workspace_id) if tasks else []
        found = find_task(build, tasks, sent)
        if found is not None:
            return await self._journal.accept(build, found.task_id, None)
        if (now - journey.searched_since).total_seconds() < SEARCH_S:
            return build
        ours = build.sent_by == journey.attempt
        reason = "no answer came" if ours else "the gateway stopped while it handed it over"
        message = f"{NEVER_ACCEPTED}: {reason}, and no task there is surely this build's. Start it again."
        return await self._fail(build, message)

    async def _hand_over(self, journey: Journey, source_path: str, file: IO[bytes] | None) -> BuildRecord | None:
        build = journey.build
        filename = source_path.rpartition("/")[2]
        tag = build.tag or default_tag(build.id)
        registry = build.expected_image.removesuffix(f":{tag}") if build.expected_image else None

        async def send(before_end: BeforeEnd) -> AcceptedTask:
            if file is None:
                return await self._builder.start_push(
                    build.workspace_id, source_path, registry_url=registry or "", tag=tag, before_end=before_end
                )
            upload = (build.workspace_id, filename, file)
            if build.kind is BuildKind.BUILD:
                return await self._builder.start_build(*upload, app_name=build.app_name, before_end=before_end)
            return await self._builder.start_build_and_push(
                *upload, app_name=build.app_name, tag=tag, registry_url=registry, before_end=before_end
            )

        async def send_ours(before_end: BeforeEnd) -> AcceptedTask:
            return replace(await send(before_end), source_path=None)  # it stays where the caller was told it is

        return await hand_over(self._journal, journey, send_ours, self._clock)

    async def _fail(self, build: BuildRecord, error: str) -> BuildRecord | None:
        return await self._journal.store(build, fail(build, error, self._clock()))


def find_task(build: BuildRecord, tasks: Iterable[BuilderTask], sent: Iterable[BuildRecord]) -> BuilderTask | None:
    """The one task that can only be this build's; `sent` are all builds of the workspace that were handed over.

    It has the build's app and is not older, and no other build has it, or could have.
    """
    others = [other for other in sent if other.id != build.id]
    claimed = {other.builder_task_id for other in others}
    if any(other.builder_task_id is None and _could_be_confused(build, other) for other in others):
        return None
    possible = [task for task in tasks if task.task_id not in claimed and _may_be_of(task, build)]
    return possible[0] if len(possible) == 1 else None


def _could_be_confused(build: BuildRecord, other: BuildRecord) -> bool:
    near = abs(build.created_at - other.created_at) < RIVAL
    return near and _is_same_app(build.app_name, other.app_name)


def _may_be_of(task: BuilderTask, build: BuildRecord) -> bool:
    if not is_task_id(task.task_id) or not _is_same_app(task.app_name, build.app_name):
        return False
    tag = (task.image_url or "").rpartition(":")[2]
    if tag.startswith(default_tag("")) and tag != (build.tag or default_tag(build.id)):
        return False
    return _is_not_older(task.created_at, build.created_at)


def _is_not_older(task_created_at: datetime | None, created_at: datetime) -> bool:
    return task_created_at is not None and task_created_at >= created_at - EARLIER


def _is_same_app(one: str | None, other: str) -> bool:
    """Whether the builder, which cleans names up, may mean the same."""
    return one is not None and clean_name(one).lower() == clean_name(other).lower()
