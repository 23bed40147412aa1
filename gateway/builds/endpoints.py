"""The search for the endpoint of what was deployed without a build: asked again in the background, then stored."""

import asyncio
import logging
from dataclasses import replace

from gateway.builds.pipeline import ENDPOINT_TIMEOUT_S, GetFunction
from gateway.errors import GatewayError
from gateway.records.builds import DeploymentRecord, DeployRequest
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.deployments import DeploymentTable

logger = logging.getLogger(__name__)


class EndpointSearch:
    """Finds endpoints that /deploy did not answer at once; `run` does the work of what `start` was given."""

    def __init__(
        self, *, builder: Builder, deployments: DeploymentTable, get_function: GetFunction, interval_s: float
    ) -> None:
        self._builder = builder
        self._deployments = deployments
        self._get_function = get_function
        self._interval_s = interval_s
        self._wanted: asyncio.Queue[tuple[DeployRequest, DeploymentRecord]] = asyncio.Queue()

    def start(self, request: DeployRequest, deployment: DeploymentRecord) -> None:
        """Seek the endpoint of a stored deployment; `request` names the app as the builder answered it."""
        self._wanted.put_nowait((request, deployment))

    async def run(self) -> None:
        """Search until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                request, deployment = await self._wanted.get()
                group.create_task(self._seek(request, deployment))

    async def _seek(self, request: DeployRequest, deployment: DeploymentRecord) -> None:
        try:
            async with asyncio.timeout(ENDPOINT_TIMEOUT_S):
                while True:
                    if await self._ask(request, deployment):
                        return
                    await asyncio.sleep(self._interval_s)
        except TimeoutError:
            logger.warning("%s had no endpoint after %g s", deployment.id, ENDPOINT_TIMEOUT_S)
        except Exception:
            logger.exception("the search for the endpoint of %s ended unexpectedly", deployment.id)

    async def _ask(self, request: DeployRequest, deployment: DeploymentRecord) -> bool:
        """One question; True when the search is over. Asking is deploying again, so what came later ends it."""
        workspace_id, function_id = deployment.workspace_id or "", deployment.function_id or ""
        try:
            function = await self._get_function(function_id)
            if function is None or function.active_build_id or function.current_deployment_id != deployment.id:
                return True
            result = await self._builder.deploy(request)
            if result.endpoint is None:
                return False
            found = replace(deployment, endpoint=result.endpoint, service_status=result.service_status)
            await self._deployments.set_endpoint(found, workspace_id, function_id)
        except GatewayError as error:
            logger.warning("the endpoint of %s: %s", deployment.id, error)
            return False
        return True
