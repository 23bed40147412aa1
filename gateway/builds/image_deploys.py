"""Deploying an image to a function, step by step: the first call of the builder, and each later one.

Asking for an endpoint is deploying again. So every call is made while this process holds the function, and only
while the image is what the function is to run: an older image is never deployed over a newer one. When a step is
taken, and by which replica, is endpoints.py's.
"""

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import timedelta

from gateway.builds.deploys import deploy_request, to_deployment
from gateway.builds.holds import may_go_on, new_holder, patiently
from gateway.builds.places import Places
from gateway.errors import (
    BuilderConnectionError,
    BuilderError,
    ConflictError,
    DynamoDBError,
    GatewayError,
    NotFoundError,
    PlaceTakenError,
)
from gateway.records.builder import DeployResult
from gateway.records.builds import DeploymentRecord
from gateway.records.clock import Clock
from gateway.records.image_deploys import DeployOverError, HoldTakenError, ImageDeploy, Place
from gateway.upstream.builder import DEPLOY_TIMEOUT_S, Builder
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.deployments import new_deployment_id
from gateway.upstream.dynamo.holds import HOLD_S

CARRIED_S = 30.0
"""Between two calls: a replica that has died is known to be gone after that."""
START_S = 10.0
"""From taking a hold to the call; a process that slept for longer must not call any more."""

logger = logging.getLogger(__name__)


class ImageDeployer:
    """Takes deploys of images a step further."""

    def __init__(self, dynamo: Dynamo, *, builder: Builder, places: Places, clock: Clock) -> None:
        self._builder = builder
        self._images = dynamo.image_deploys
        self._deployments = dynamo.deployments
        self._get_function = dynamo.functions.get
        self._places = places
        self._clock = clock

    async def begin(self, deploy: ImageDeploy, *, former: Place | None) -> ImageDeploy:
        """Store a deploy that is about to be made; errors are ImageDeployTable.start's.

        A search for the endpoint of an earlier image is waited for, and ends.
        """
        begun = deploy

        async def start() -> None:
            nonlocal begun
            now = self._clock()
            until = now + timedelta(seconds=HOLD_S)
            begun = replace(deploy, started_at=now, carried_until=until, holder=new_holder(deploy.id))
            await self._images.start(begun, former=former)

        try:
            await patiently(deploy.function_id, start)
        except DynamoDBError:
            with contextlib.suppress(DynamoDBError):  # the write may have been made all the same
                await self._images.end(begun)
            raise
        return begun

    async def deploy(self, deploy: ImageDeploy) -> tuple[ImageDeploy | None, DeploymentRecord]:
        """Have the builder deploy what was begun, and store its answer; None where nothing is left to do.

        BuilderError where it refuses, or does not answer: then the deploy is over. NotFoundError where the
        function was deleted meanwhile, ConflictError where this process slept and another deploy has followed.
        """
        try:
            result = await self._call(deploy)
        except HoldTakenError as error:
            await self._images.end(deploy)
            raise _followed(deploy) from error
        except BuilderError as error:
            raise await self._failure(deploy, error) from error
        except Exception:  # a defect must not bar the function until its hold has passed
            await self._call_off(deploy)
            raise
        return await self._store(deploy, result)

    async def deploy_again(self, deploy: ImageDeploy) -> ImageDeploy | None:
        """Make the deploy of a replica that is gone, which may have made it; None where it is over.

        HoldTakenError where the builder is called for the function at this moment; what does not answer is raised,
        and the step can be repeated.
        """
        now = self._clock()
        try:
            await self._images.hold(deploy, now)
            result = await self._call(replace(deploy, started_at=now))
            stored, _ = await self._store(deploy, result)
        except DeployOverError:
            await self.let_go(deploy)
            return None
        except BuilderError as error:
            if not error.retryable:
                logger.warning("the image %s was not deployed: %s", deploy.image_url, error)
                await self._failure(deploy, error)
                return None
            if not may_go_on(error):
                await self.rest(deploy)
            raise
        except (NotFoundError, ConflictError, PlaceTakenError):
            return None
        return stored

    async def seek(self, deploy: ImageDeploy) -> bool:
        """Ask for the endpoint, unless it is there, and leave the former place; True when nothing is left to do.

        HoldTakenError as above; what does not answer is raised, and the step can be repeated.
        """
        key = (deploy.workspace_id, deploy.deployment_id or "")
        deployment = (await self._deployments.get_many(frozenset({key}))).get(key)
        try:
            await self._images.hold(deploy, now := self._clock())
            found = deployment is None or await self._find(replace(deploy, started_at=now), deployment)
            if found:
                await self._images.hold(deploy, self._clock())  # a build may have begun, with another place
                await self._places.leave_all_but(deploy.function_id, deploy.place)
        except DeployOverError:
            await self.let_go(deploy)
            return True
        except BuilderError as error:
            if not may_go_on(error):
                await self.rest(deploy)
            raise
        except (GatewayError, HoldTakenError):
            await self.rest(deploy)
            raise
        if found:
            await self._images.end(deploy)
        else:
            await self.rest(deploy)
        return found

    async def rest(self, deploy: ImageDeploy, seconds: float = CARRIED_S) -> None:
        """Release the function until the next step, which is this replica's for so long."""
        await self._images.rest(deploy, self._clock() + timedelta(seconds=seconds))

    async def let_go(self, deploy: ImageDeploy) -> None:
        """End what has been followed by another deploy, or whose function is gone: then with all its SpinApps."""
        if await self._get_function(deploy.function_id) is None:
            await self._places.leave(deploy.function_id, deploy.place)
            await self._places.leave_all_but(deploy.function_id, None)
        await self._images.end(deploy)

    async def _find(self, deploy: ImageDeploy, deployment: DeploymentRecord) -> bool:
        """Whether the endpoint is there now, and stored."""
        if deployment.endpoint is not None:
            return True
        result = await self._call(deploy)
        if result.endpoint is None:
            return False
        found = replace(deployment, endpoint=result.endpoint, service_status=result.service_status)
        await self._deployments.set_endpoint(found, deploy.workspace_id, deploy.function_id)
        return True

    async def _call(self, deploy: ImageDeploy) -> DeployResult:
        """One call of /deploy, over before the hold is; HoldTakenError where this process slept in between."""
        if (self._clock() - deploy.started_at).total_seconds() > START_S:
            raise HoldTakenError
        spec = deploy.spec
        request = deploy_request(spec, deploy.image_url, spec.app_name, deploy.function_id)
        try:
            async with asyncio.timeout(DEPLOY_TIMEOUT_S + START_S):
                return await self._builder.deploy(request)
        except TimeoutError as error:
            raise BuilderConnectionError("The Builder Service did not answer POST /api/v1/deploy.") from error

    async def _store(
        self, deploy: ImageDeploy, result: DeployResult
    ) -> tuple[ImageDeploy | None, DeploymentRecord]:
        """Store an answer; None where it is reached already, and there is no other place to leave."""
        answered = await self._name(deploy, Place(result.namespace, result.app_name))
        now = self._clock()
        deployment = to_deployment(
            result,
            deployment_id=new_deployment_id(deploy.function_id, now),
            workspace_id=deploy.workspace_id,
            function_id=deploy.function_id,
            image_url=deploy.image_url,
            now=now,
            spec=answered.spec,
        )
        try:
            await self._images.store(answered, deployment, now + timedelta(seconds=CARRIED_S))
        except NotFoundError:
            await self._withdraw(answered)
            raise
        except DeployOverError as error:
            raise _followed(deploy) from error
        if deployment.endpoint is not None:
            places = await self._places.table.list_of_function(deploy.function_id)
            if places.keys() <= {answered.place}:
                await self._images.end(answered)
                return None, deployment
        return replace(answered, deployment_id=deployment.id), deployment

    async def _name(self, deploy: ImageDeploy, place: Place) -> ImageDeploy:
        """The deploy under the name that the builder gave the app: as a rule that is the one asked for."""
        if place == deploy.place:
            return deploy
        try:
            await self._places.table.move(deploy.function_id, deploy.place, place)
        except PlaceTakenError:
            await self._images.end(deploy)
            raise
        return replace(deploy, spec=replace(deploy.spec, namespace=place.namespace, app_name=place.app_name))

    async def _failure(self, deploy: ImageDeploy, error: BuilderError) -> BuilderError:
        """End a deploy that the builder has refused, or left unanswered: that one it may be at still."""
        if may_go_on(error):
            await self._images.abandon(deploy)
            namespace, app = deploy.place
            message = f"{error.message} The SpinApp {app} in {namespace} may be deployed all the same."
            return type(error)(message, retryable=error.retryable)
        await self._call_off(deploy)
        return error

    async def _call_off(self, deploy: ImageDeploy) -> None:
        """End a deploy that came to nothing, and its claim on a place that it was to be the first at."""
        if deploy.is_new_place:
            await self._places.try_to_leave(deploy.function_id, deploy.place)
        await self._images.end(deploy)

    async def _withdraw(self, deploy: ImageDeploy) -> None:
        """Undo what the builder deployed while the function was deleted."""
        await self._places.leave(deploy.function_id, deploy.place)
        await self._images.end(deploy)


def _followed(deploy: ImageDeploy) -> ConflictError:
    return ConflictError(f"Another deploy of {deploy.function_id} has followed.", retryable=True)
