"""What a DEPLOY build does beyond being built: the source handed to the builder, and the deploy at the end.

Each is one step that can be repeated; when to take it is carrier.py's and poller.py's.
"""

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.builds.archive import pack_source
from gateway.builds.deploys import DeleteSpinApp, delete_leniently, deploy_request, to_deployment
from gateway.builds.journal import BuildJournal
from gateway.builds.messages import explain_failure
from gateway.builds.states import enter, fail
from gateway.errors import BuilderError
from gateway.records.builds import (
    AcceptedTask,
    BuildRecord,
    BuildStatus,
    DeployResult,
    DeploySpec,
    FunctionGoneError,
)
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.deployments import new_deployment_id

ENDPOINT_TIMEOUT_S = 60.0
"""From the builder's first answer on; SpinKube makes the service within seconds, or never."""

GetFunction = Callable[[str], Awaitable[FunctionRecord | None]]
ReadSource = Callable[[str, str], Awaitable[bytes | None]]


@dataclass(slots=True)
class Journey:
    """A build under way in this process, with what of it is not worth a row."""

    build: BuildRecord
    fresh: bool = False
    """A deploy that was stored here a moment ago: one from before a restart must not be handed over again."""
    accepted: AcceptedTask | None = None
    """The builder's answer, which the row may not have yet."""
    missing: int = 0
    """How often in a row the builder did not know the task."""
    answered: DeployResult | None = None
    """The builder's last answer to /deploy: only the name it used finds the SpinApp again."""
    answered_at: datetime | None = None
    """When it first answered."""


class DeployPipeline:
    """The first and the last step of a DEPLOY build, and the only one of a ROLLBACK."""

    def __init__(
        self,
        *,
        builder: Builder,
        journal: BuildJournal,
        get_function: GetFunction,
        read_source: ReadSource,
        delete_spinapp: DeleteSpinApp,
        registry_url: str | None,
        clock: Clock,
    ) -> None:
        self._builder = builder
        self._journal = journal
        self._get_function = get_function
        self._read_source = read_source
        self._delete_spinapp = delete_spinapp
        self._registry_url = registry_url
        self._clock = clock

    async def submit(self, journey: Journey) -> BuildRecord | None:
        """Hand the function's stored source to the builder, once; what it refuses fails the build.

        Storage that does not answer is raised: nothing was handed over yet, so that the step can be repeated.
        """
        build = journey.build
        packed = await self._pack(build)
        if packed is None:
            error = "The function was deleted, or has no stored source."
            return await self._journal.store(build, fail(build, error, self._clock()))
        self._journal.require_lease(build)
        try:
            journey.accepted = await self._builder.start_build_and_push(
                build.workspace_id,
                f"{build.app_name}.zip",
                io.BytesIO(packed),
                app_name=build.app_name,
                tag=default_tag(build.id),
                registry_url=self._registry_url,
            )
        except BuilderError as error:
            return await self._journal.store(build, fail(build, error.message, self._clock()))
        return await self._journal.accept(build, journey.accepted.task_id, journey.accepted.source_path)

    async def deploy(self, journey: Journey) -> BuildRecord | None:
        """Ask for the deploy, or for its endpoint again; done when there is one.

        A builder that does not answer is raised, and FunctionGoneError; a deploy that is refused fails the build.
        """
        build, spec = journey.build, journey.build.deploy
        if spec is None or build.image_url is None:
            error = "There is no image to deploy."
            return await self._journal.store(build, fail(build, error, self._clock()))
        await self._require_function(build)
        name = journey.answered.app_name if journey.answered else spec.app_name
        self._journal.require_lease(build)
        try:
            result = await self._builder.deploy(deploy_request(spec, build.image_url, name, build.function_id))
        except BuilderError as error:
            if error.retryable:
                raise
            return await self._give_up(build, spec, explain_failure(error.message))
        await self._withdraw_if_late(build, spec, result)
        now = self._clock()
        journey.answered, journey.answered_at = result, journey.answered_at or now
        if result.endpoint is not None:
            return await self._finish(build, spec, result, now)
        if (now - journey.answered_at).total_seconds() < ENDPOINT_TIMEOUT_S:
            return build
        return await self._give_up(build, spec, _no_endpoint(result))

    async def _withdraw_if_late(self, build: BuildRecord, spec: DeploySpec, result: DeployResult) -> None:
        """Undo what the builder deployed while the function was deleted, or a move of it was cancelled."""
        function = await self._get_function(build.function_id or "")
        if function is None or (spec.former is not None and function.active_build_id != build.id):
            await self._delete_spinapp(result.namespace, result.app_name)
            raise FunctionGoneError

    async def _give_up(self, build: BuildRecord, spec: DeploySpec, error: str) -> BuildRecord | None:
        """Fail a deploy; what was to take the place of another SpinApp goes, since that one is still up."""
        if spec.former is not None:
            self._journal.require_lease(build)
            await delete_leniently(self._delete_spinapp, f"{spec.namespace}/{spec.app_name}")
        return await self._journal.store(build, fail(build, error, self._clock()))

    async def _require_function(self, build: BuildRecord) -> None:
        """FunctionGoneError where the function was deleted: a deploy would bring its SpinApp back."""
        function = await self._get_function(build.function_id or "")
        if function is None or function.active_build_id != build.id:
            raise FunctionGoneError

    async def _pack(self, build: BuildRecord) -> bytes | None:
        if build.function_id is None:
            return None
        function = await self._get_function(build.function_id)
        source = await self._read_source(build.workspace_id, build.function_id)
        if function is None or source is None:
            return None
        return pack_source(source, build.app_name, function.environment_variables)

    async def _finish(
        self, build: BuildRecord, spec: DeploySpec, result: DeployResult, now: datetime
    ) -> BuildRecord | None:
        function_id = build.function_id or ""
        deployment = to_deployment(
            result,
            deployment_id=new_deployment_id(function_id, now),
            workspace_id=build.workspace_id,
            function_id=function_id,
            image_url=build.image_url or "",
            now=now,
            spec=spec,
        )
        if spec.former is not None:
            await delete_leniently(self._delete_spinapp, spec.former)
        done = enter(build, BuildStatus.DONE, now, deployment_id=deployment.id)
        return await self._journal.store(build, done, deployment=deployment)


def default_tag(build_id: str) -> str:
    """The tag of a build that was given none: two builds with one tag would overwrite each other."""
    return f"task-{build_id}"


def _no_endpoint(result: DeployResult) -> str:
    reason = f": {result.error}" if result.error else f" (service status: {result.service_status})"
    app = f"The SpinApp {result.app_name} in {result.namespace}"
    return f"{app} had no endpoint after {ENDPOINT_TIMEOUT_S:g} s{reason}."
