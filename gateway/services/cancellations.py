"""Cancelling builds: a change of the build like any other, which any replica may make.

The replica that carries the build learns of it by the condition of its next write, and before a deploy by asking.
"""

import logging

from gateway.builds.journal import BuildJournal
from gateway.builds.places import DeleteSpinApp, Places
from gateway.builds.states import enter
from gateway.errors import ConflictError, GatewayError, NotFoundError
from gateway.records.builds import BuildRecord, BuildStatus
from gateway.records.clock import Clock
from gateway.records.image_deploys import Place
from gateway.services.validation import check_build_id
from gateway.upstream.dynamo import Dynamo

MAX_ATTEMPTS = 10
"""A build that changes between two of them has come nearer to its end; none has as many changes."""

logger = logging.getLogger(__name__)


class CancellationService:
    """The mutation that cancels a build."""

    def __init__(
        self, dynamo: Dynamo, journal: BuildJournal, clock: Clock, *, delete_spinapp: DeleteSpinApp
    ) -> None:
        self._dynamo = dynamo
        self._journal = journal
        self._clock = clock
        self._places = Places(dynamo.places, delete_spinapp)

    async def cancel(self, build_id: str) -> BuildRecord:
        """End a build for the gateway; one that deploys leaves its function as it was before.

        ConflictError (details: status) where it is finished already.
        """
        build = await self._dynamo.builds.get(check_build_id(build_id))
        for _ in range(MAX_ATTEMPTS):
            if build is None:
                raise NotFoundError(f"There is no build {build_id}.", field="id")
            cancelled = enter(build, BuildStatus.CANCELLED, self._clock())
            if cancelled is None:
                message = f"The build {build_id} is finished: {build.status.name}."
                raise ConflictError(message, details={"status": build.status.name})
            stored = await self._journal.store(build, cancelled)
            if stored is not None and stored.steps == cancelled.steps:
                await self._withdraw(build)
                return stored
            build = stored
        raise ConflictError(f"The build {build_id} changes all the time.", retryable=True)

    async def _withdraw(self, build: BuildRecord) -> None:
        """Take away what was to take the place of another SpinApp: the function is still reached at that one."""
        deploy = build.deploy
        if build.status is not BuildStatus.DEPLOYING or deploy is None or deploy.former is None:
            return
        try:
            await self._places.delete(build.function_id or "", Place(deploy.namespace, deploy.app_name))
        except GatewayError as error:
            logger.warning("build %s was cancelled, and its SpinApp may be there: %s", build.id, error)
