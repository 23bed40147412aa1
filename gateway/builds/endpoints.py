"""After a deploy without a build: its endpoint is asked for again in the background until it is there, and stored;
then the SpinApp goes in whose place it is.
"""

import asyncio
import logging
from dataclasses import replace

from gateway.builds.deploys import DeleteSpinApp, delete_leniently
from gateway.builds.pipeline import ENDPOINT_TIMEOUT_S, GetFunction
from gateway.errors import GatewayError
from gateway.records.builds import DeploymentRecord, DeployRequest
from gateway.upstream.builder import Builder
from gateway.upstream.dynamo.deployments import DeploymentTable

logger = logging.getLogger(__name__)


class EndpointSearch:
    """Finds endpoints that /deploy did not answer at once; `run` does the work of what `start` was given."""

    def __init__(
        self,
        *,
        builder: Builder,
        deployments: DeploymentTable,
        get_function: GetFunction,
        delete_spinapp: DeleteSpinApp,
        interval_s: float,
    ) -> None:
        self._builder = builder
        self._deployments = deployments
        self._get_function = get_function
        self._delete_spinapp = delete_spinapp
        self._interval_s = interval_s
        self._wanted: asyncio.Queue[tuple[DeployRequest, DeploymentRecord]] = asyncio.Queue()

    def start(self, request: DeployRequest, deployment: DeploymentRecord) -> None:
        """Finish a deployment that lacks something; `request` names the app as the builder answered it."""
        moved = deployment.deploy is not None and deployment.deploy.former is not None
        if deployment.endpoint is None or moved:
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
            former = deployment.deploy.former if deployment.deploy is not None else None
            if function is None and former is not None:
                await delete_leniently(self._delete_spinapp, former)
            if function is None or function.active_build_id or function.current_deployment_id != deployment.id:
                return True
            if deployment.endpoint is None:
                result = await self._builder.deploy(request)
                if await self._get_function(function_id) is None:  # deleted while the builder was at it
                    await self._delete_spinapp(result.namespace, result.app_name)
                    return True
                if result.endpoint is None:
                    return False
                found = replace(deployment, endpoint=result.endpoint, service_status=result.service_status)
                await self._deployments.set_endpoint(found, workspace_id, function_id)
            if former is not None:
                await delete_leniently(self._delete_spinapp, former)
        except GatewayError as error:
            logger.warning("the endpoint of %s: %s", deployment.id, error)
            return False
        return True
