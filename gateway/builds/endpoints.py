"""After a deploy without a build: its endpoint is asked for again in the background until it is there.

What is still to be done is in the table. The replica that deployed goes on with it; where that one is gone,
whoever looks first takes it over, an unanswered first call included. On SIGTERM it is left to the others at once.
"""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from gateway.builds.background import gather_bounded
from gateway.builds.holds import new_holder
from gateway.builds.image_deploys import ImageDeployer
from gateway.builds.pipeline import ENDPOINT_TIMEOUT_S
from gateway.errors import GatewayError
from gateway.records.builds import DeploymentRecord
from gateway.records.clock import Clock
from gateway.records.image_deploys import HoldTakenError, ImageDeploy, Place
from gateway.upstream.dynamo.holds import HOLD_S
from gateway.upstream.dynamo.image_deploys import ImageDeployTable

LOOK_INTERVAL_S = 5.0
"""From one look for what nobody carries to the next: one Query of an index that is empty most of the time."""
JITTER = 0.2
"""Part of the interval by which it varies, so that replicas do not look all at once."""
MAX_TIMES_CARRIED = 5
"""A deploy that outlived so many replicas, or searches that found nothing, is let go."""
AT_ONCE = 10
"""Deploys taken over together."""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class EndpointSearch:
    """Finishes deploys of images; `run` does the work, with `interval_s` between two calls of the builder."""

    def __init__(
        self, deployer: ImageDeployer, images: ImageDeployTable, *, clock: Clock, interval_s: float
    ) -> None:
        self._deployer = deployer
        self._images = images
        self._clock = clock
        self._interval_s = interval_s
        self._wanted: asyncio.Queue[ImageDeploy] = asyncio.Queue()
        self._carried: dict[str, ImageDeploy] = {}
        self._steps: set[asyncio.Task[Any]] = set()
        self._draining = asyncio.Event()

    async def deploy(self, deploy: ImageDeploy, *, former: Place | None) -> DeploymentRecord:
        """Deploy an image up to the builder's first answer; errors are ImageDeployer's.

        It goes on where its caller goes away: the builder can't be called back.
        """
        return await self._keep(self._deploy(deploy, former))

    async def _deploy(self, deploy: ImageDeploy, former: Place | None) -> DeploymentRecord:
        begun = await self._deployer.begin(deploy, former=former)
        stored, deployment = await self._deployer.deploy(begun)
        if stored is not None:
            self._follow(stored)
        return deployment

    async def run(self) -> None:
        """Search, and look for what nobody carries, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_again())
                while True:
                    deploy = await self._wanted.get()
                    group.create_task(self._carry(deploy))
        finally:
            for step in self._steps:
                step.cancel()

    async def look(self) -> None:
        """Take over what nobody carries."""
        now = self._clock()
        found = [
            deploy
            for deploy in await self._images.list_unfinished()
            if deploy.carried_until < now and deploy.id not in self._carried
        ]
        random.shuffle(found)
        await gather_bounded(AT_ONCE, (self._take_over(deploy, now) for deploy in found))

    async def drain(self) -> None:
        """Leave everything to the other replicas; what the builder is doing at this moment is waited for first."""
        self._draining.set()
        if self._steps:
            await asyncio.wait(self._steps)
        carried = list(self._carried.values())
        self._carried.clear()  # what was left may be another's when this is called again
        await gather_bounded(AT_ONCE, (self._leave(deploy) for deploy in carried))

    def _follow(self, deploy: ImageDeploy) -> None:
        self._carried[deploy.id] = deploy
        self._wanted.put_nowait(deploy)

    async def _look_again(self) -> None:
        while not self._draining.is_set():
            try:
                await self.look()
            except GatewayError as error:
                logger.warning("the unfinished deploys of images could not be read: %s", error)
            except Exception:  # to end here would end the deploys that are carried
                logger.exception("the unfinished deploys of images could not be looked at")
            await asyncio.sleep(LOOK_INTERVAL_S * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  # no secret

    async def _leave(self, deploy: ImageDeploy) -> None:
        try:
            await self._deployer.rest(deploy, seconds=0)
        except GatewayError as error:
            logger.warning("the deploy of %s is left when its time has passed: %s", deploy.function_id, error)

    async def _take_over(self, deploy: ImageDeploy, now: datetime) -> None:
        if not await self._images.take_over(deploy, now, now + timedelta(seconds=HOLD_S)):
            return
        deploy = replace(deploy, holder=new_holder(deploy.id))
        if deploy.is_abandoned or deploy.times_carried >= MAX_TIMES_CARRIED:
            logger.warning("the deploy of %s to %s is let go", deploy.image_url, deploy.function_id)
            await self._deployer.let_go(deploy)
            return
        logger.info("goes on with the deploy of %s to %s", deploy.image_url, deploy.function_id)
        self._follow(deploy)

    async def _carry(self, deploy: ImageDeploy) -> None:
        """Step by step to the end; what does not answer for a minute is left to whoever looks later."""
        deadline = time.monotonic() + ENDPOINT_TIMEOUT_S
        try:
            while not self._draining.is_set():
                following, answered = await self._keep(self._step(deploy))
                if following is None:
                    break
                deploy = self._carried[deploy.id] = following
                if time.monotonic() > deadline:
                    logger.warning("%s had no endpoint after %g s", deploy.deployment_id, ENDPOINT_TIMEOUT_S)
                    if answered:
                        await self._deployer.let_go(deploy)
                    break
                await asyncio.sleep(self._interval_s)
        except Exception:
            logger.exception("the deploy of %s to %s ended unexpectedly", deploy.image_url, deploy.function_id)
        finally:
            if not self._draining.is_set():
                self._carried.pop(deploy.id, None)

    async def _step(self, deploy: ImageDeploy) -> tuple[ImageDeploy | None, bool]:
        """One step: what to go on with, None where nothing is left, and whether the builder answered."""
        try:
            if deploy.deployment_id is None:
                return await self._deployer.deploy_again(deploy), True
            return None if await self._deployer.seek(deploy) else deploy, True
        except HoldTakenError:
            return deploy, False
        except GatewayError as error:
            logger.warning("the deploy of %s to %s: %s", deploy.image_url, deploy.function_id, error)
            return deploy, False

    async def _keep(self, step: Coroutine[Any, Any, T]) -> T:
        """Await a step that goes on where this call is cancelled."""
        task = asyncio.create_task(step)
        self._steps.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._steps.discard(task)
        if not task.cancelled():
            task.exception()  # seen: where nobody waits for the step any more, there is nobody to tell
