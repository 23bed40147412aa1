"""One step of one build: whatever is next for it, up to what is stored. When it is due is poller.py's."""

from gateway.builds.handover import Handover
from gateway.builds.journal import BuildJournal
from gateway.builds.journey import Journey
from gateway.builds.lease import Leases
from gateway.builds.messages import conceal, explain_timeout
from gateway.builds.pipeline import DeployPipeline
from gateway.builds.states import fail, is_overdue, merge, observe
from gateway.errors import BuilderError, GatewayError
from gateway.records.builder import BuilderTask
from gateway.records.builds import BuildChangedError, BuildKind, BuildRecord, BuildStatus, FunctionGoneError
from gateway.records.clock import Clock
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.builds import BuildTable

MISSING_TASK_POLLS = 3
"""A builder that was just restarted may answer 404 once or twice."""


class BuildCarrier:
    """Takes builds a step further; what goes wrong on the way, not with the build, is raised."""

    def __init__(
        self,
        *,
        builds: BuildTable,
        builder: Builder,
        journal: BuildJournal,
        leases: Leases,
        handover: Handover,
        pipeline: DeployPipeline,
        timeout_s: float,
        clock: Clock,
    ) -> None:
        self._builds = builds
        self._builder = builder
        self._journal = journal
        self._leases = leases
        self._handover = handover
        self._pipeline = pipeline
        self._timeout_s = timeout_s
        self._clock = clock

    async def carry(self, journey: Journey) -> BuildRecord | None:
        """Take the next step and answer the build as it is stored then; None where it was deleted.

        LeaseLostError where another replica carries it by now.
        """
        await self._leases.ensure(journey.build.id)
        try:
            build = await self._carry(journey)
        except FunctionGoneError:
            return await self._fail(journey.build, "The function was deleted while it was being deployed.")
        except BuilderError as error:
            concealed = conceal(error, journey.password)
            journey.trouble = concealed.message
            raise concealed from None  # the builder's own words may hold the secret
        except GatewayError as error:
            journey.trouble = error.message
            raise
        journey.trouble = None
        return build

    async def _carry(self, journey: Journey) -> BuildRecord | None:
        build = journey.build
        if is_overdue(build, self._clock(), self._timeout_s):
            pushing = build.status is BuildStatus.PUSHING
            error = explain_timeout(self._timeout_s, pushing=pushing, trouble=journey.trouble)
            if build.status is BuildStatus.DEPLOYING:
                return await self._pipeline.expire(build, error)
            return await self._fail(build, error)
        if build.status is BuildStatus.DEPLOYING:
            return await self._pipeline.deploy(journey)
        if build.builder_task_id is not None:
            return await self._poll(journey, build.builder_task_id)
        if journey.accepted is not None:
            return await self._journal.accept(build, journey.accepted.task_id, journey.accepted.source_path)
        if journey.refusal is not None:
            return await self._fail(build, journey.refusal)
        return await self._hand_over(journey)

    async def _hand_over(self, journey: Journey) -> BuildRecord | None:
        build = journey.build
        try:
            if build.sent_by is not None:
                return await self._handover.search(journey)
            if build.kind is BuildKind.DEPLOY:
                return await self._pipeline.submit(journey)
            return await self._handover.resume(journey)
        except BuildChangedError:
            return await self._journal.read_again(build)

    async def _poll(self, journey: Journey, task_id: str) -> BuildRecord | None:
        build = journey.build
        answered = await self._builder.get_task(build.workspace_id, task_id) or await self._find(build, task_id)
        if answered is None:
            journey.missing += 1
            if journey.missing < MISSING_TASK_POLLS:
                return build
            return await self._fail(build, f"The Builder Service does not know the task {task_id} any more.")
        journey.missing = 0
        if not answered.status.is_final:
            answered = merge(answered, await self._builds.get_builder_task(build.workspace_id, task_id))
        seen = observe(build, answered, self._clock(), secret=journey.password)
        return await self._journal.store(build, seen)

    async def _find(self, build: BuildRecord, task_id: str) -> BuilderTask | None:
        """Look in the workspace's list, which the builder reads from the table and not from its memory."""
        tasks = await self._builder.list_tasks(build.workspace_id)
        return next((task for task in tasks if task.task_id == task_id), None)

    async def _fail(self, build: BuildRecord, error: str) -> BuildRecord | None:
        return await self._journal.store(build, fail(build, error, self._clock()))
