"""What a DEPLOY build does beyond being built: the source handed to the builder, and the deploy at the end.

Each is one step that can be repeated; when to take it is carrier.py's and poller.py's.
"""

import io
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from gateway.builds.archive import pack_source
from gateway.builds.deploys import deploy_request, to_deployment
from gateway.builds.handover import default_tag, hand_over
from gateway.builds.holds import holding
from gateway.builds.journal import BuildJournal
from gateway.builds.journey import Journey
from gateway.builds.messages import explain_error, explain_failure
from gateway.builds.places import Places
from gateway.builds.states import enter, fail
from gateway.errors import BuilderError, GatewayError, PlaceTakenError
from gateway.records.builder import AcceptedTask, DeployResult
from gateway.records.builds import BuildRecord, BuildStatus, DeploySpec, FunctionGoneError
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place
from gateway.upstream.builder import BeforeEnd, Builder
from gateway.upstream.dynamo.deployments import new_deployment_id
from gateway.upstream.dynamo.holds import HoldTable

ENDPOINT_TIMEOUT_S = 60.0
"""From the builder's first answer on; SpinKube makes the service within seconds, or never."""

logger = logging.getLogger(__name__)

GetFunction = Callable[[str], Awaitable[FunctionRecord | None]]
ReadSource = Callable[[str, str], Awaitable[bytes | None]]


class DeployPipeline:
    """The first and the last step of a DEPLOY build, and the only one of a ROLLBACK."""

    def __init__(
        self,
        *,
        builder: Builder,
        journal: BuildJournal,
        get_function: GetFunction,
        read_source: ReadSource,
        places: Places,
        holds: HoldTable,
        registry_url: str | None,
        clock: Clock,
    ) -> None:
        self._builder = builder
        self._journal = journal
        self._get_function = get_function
        self._read_source = read_source
        self._places = places
        self._holds = holds
        self._registry_url = registry_url
        self._clock = clock

    async def submit(self, journey: Journey) -> BuildRecord | None:
        """Hand the function's stored source to the builder; errors are hand_over's.

        Storage that does not answer is raised: nothing was handed over yet, so that the step can be repeated.
        """
        build = journey.build
        packed = await self._pack(build)
        if packed is None:
            error = "The function was deleted, or has no stored source."
            return await self._journal.store(build, fail(build, error, self._clock()))

        async def send(before_end: BeforeEnd) -> AcceptedTask:
            return await self._builder.start_build_and_push(
                build.workspace_id,
                f"{build.app_name}.zip",
                io.BytesIO(packed),
                app_name=build.app_name,
                tag=default_tag(build.id),
                registry_url=self._registry_url,
                before_end=before_end,
            )

        return await hand_over(self._journal, journey, send, self._clock)

    async def deploy(self, journey: Journey) -> BuildRecord | None:
        """Ask for the deploy, or for its endpoint again; done when there is one.

        A builder that does not answer is raised, and FunctionGoneError; a deploy that is refused fails the build.
        """
        build, spec = journey.build, journey.build.deploy
        if spec is None or build.image_url is None:
            error = "There is no image to deploy."
            return await self._journal.store(build, fail(build, error, self._clock()))
        place = Place(spec.namespace, journey.answered.app_name if journey.answered else spec.app_name)
        try:
            result = await self._call(build, spec, build.image_url, place)
        except BuilderError as error:
            if not error.retryable:
                return await self._give_up(build, spec, explain_error(error))
            await self._withdraw_if_late(build, spec, place)
            raise
        await self._withdraw_if_late(build, spec, Place(result.namespace, result.app_name))
        now = self._clock()
        journey.answered, journey.answered_at = result, journey.answered_at or now
        if result.endpoint is not None:
            return await self._finish(build, spec, result, now)
        if (now - journey.answered_at).total_seconds() < ENDPOINT_TIMEOUT_S:
            return build
        return await self._give_up(build, spec, _no_endpoint(result))

    async def expire(self, build: BuildRecord, error: str) -> BuildRecord | None:
        """Fail a deploy whose time is up, the builder or Kubernetes not answering.

        What was to take the place of another SpinApp goes; where it may come up later, it is said where, and the
        place stays the function's, so that its next deploy or its deletion leaves it.
        """
        spec = build.deploy
        if spec is None or spec.former is None:
            return await self._journal.store(build, fail(build, error, self._clock()))
        place = Place(spec.namespace, spec.app_name)
        message = (
            f"{error}; the SpinApp {place.app_name} in {place.namespace} may come up all the same, and goes with "
            "the function's next deploy"
        )
        failed = await self._journal.store(build, fail(build, message, self._clock()))
        if failed is not None and failed.status is BuildStatus.DONE:
            return failed  # by another replica, while this one slept: it is what the function runs as
        try:
            await self._places.delete(build.function_id or "", place)
        except GatewayError as trouble:
            logger.warning("build %s: %s", build.id, trouble)
        return failed

    async def _call(self, build: BuildRecord, spec: DeploySpec, image_url: str, place: Place) -> DeployResult:
        function_id = build.function_id or ""
        async with holding(self._holds, function_id, build.id, self._clock):
            await self._require_function(build, place)  # now, since another deploy may have been waited for
            self._journal.require_lease(build)
            request = deploy_request(spec, image_url, place.app_name, function_id)
            return await self._builder.deploy(request)

    async def _withdraw_if_late(self, build: BuildRecord, spec: DeploySpec, place: Place) -> None:
        """Undo what the builder deployed while the function was deleted, or a move of it was cancelled."""
        function = await self._get_function(build.function_id or "")
        if function is None or (spec.former is not None and function.active_build_id != build.id):
            await self._places.leave(build.function_id or "", place)
            raise FunctionGoneError

    async def _give_up(self, build: BuildRecord, spec: DeploySpec, error: str) -> BuildRecord | None:
        """Fail a deploy; what was to take the place of another SpinApp goes, since that one is still up."""
        place = Place(spec.namespace, spec.app_name)
        gone = False
        if spec.former is not None:
            self._journal.require_lease(build)
            gone = await self._places.delete(build.function_id or "", place)
        failed = await self._journal.store(build, fail(build, error, self._clock()))
        if gone:
            await self._places.table.give_up(build.function_id or "", place)
        return failed

    async def _require_function(self, build: BuildRecord, place: Place) -> None:
        """FunctionGoneError where the function was deleted: a deploy would bring its SpinApp back.

        What an earlier call may have brought up, which was not answered, goes.
        """
        function = await self._get_function(build.function_id or "")
        if function is None:
            await self._places.leave(build.function_id or "", place)
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
        try:
            await self._settle(build, spec, Place(result.namespace, result.app_name))
        except PlaceTakenError as error:
            return await self._journal.store(build, fail(build, error.message, now))
        done = enter(build, BuildStatus.DONE, now, deployment_id=deployment.id)
        return await self._journal.store(build, done, deployment=deployment)

    async def _settle(self, build: BuildRecord, spec: DeploySpec, place: Place) -> None:
        """Leave all other places; PlaceTakenError where the builder named the app as another function's."""
        function_id, asked = build.function_id or "", Place(spec.namespace, spec.app_name)
        if place != asked:
            await self._places.table.move(function_id, asked, place)
        await self._places.leave_all_but(function_id, place, required=spec.former is not None)


def _no_endpoint(result: DeployResult) -> str:
    reason = (
        f": {explain_failure(result.error)}" if result.error else f" (service status: {result.service_status})"
    )
    app = f"The SpinApp {result.app_name} in {result.namespace}"
    return f"{app} had no endpoint after {ENDPOINT_TIMEOUT_S:g} s{reason}."
