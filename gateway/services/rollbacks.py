"""Rolling back: an earlier deployment's image under the function's own name, as a build of DEPLOYING alone."""

import re
from collections.abc import Sequence
from dataclasses import replace

from gateway.builds.journal import BuildJournal
from gateway.builds.poller import BuildPoller
from gateway.builds.states import first_step
from gateway.errors import ConflictError, GatewayError, InvalidInputError, NotFoundError
from gateway.records.builds import BuildKind, BuildRecord, DeploymentRecord, DeploySpec
from gateway.records.clock import Clock
from gateway.records.functions import FunctionRecord
from gateway.services.deployments import failure_status
from gateway.services.ids import new_build_id
from gateway.services.validation import check_function_id
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.refusals import under_way

_MICROSECONDS = re.compile(r"[0-9]{1,17}")
"""What a deployment's id ends with; more would be no time."""


class RollbackService:
    """The mutation that rolls a function back; `namespaces` are those that functions may be deployed to."""

    def __init__(
        self,
        dynamo: Dynamo,
        journal: BuildJournal,
        poller: BuildPoller,
        clock: Clock,
        *,
        namespaces: Sequence[str],
    ) -> None:
        self._dynamo = dynamo
        self._journal = journal
        self._poller = poller
        self._clock = clock
        self._namespaces = namespaces

    async def roll_back(self, function_id: str, deployment_id: str) -> BuildRecord:
        """Store a build of kind ROLLBACK, which the gateway carries to its end from then on.

        NotFoundError where the function has no such deployment; ConflictError where it is what runs now, or
        (details: buildId) where another deploy is under way.
        """
        function = await self._dynamo.functions.get(check_function_id(function_id))
        if function is None:
            raise NotFoundError(f"There is no function {function_id}.", field="functionId")
        deployment = await self._find(function, deployment_id)
        refusal = self.refusal(function, deployment)
        if refusal is not None:
            raise refusal
        build = await self._journal.create(self._new_build(function, deployment))
        self._poller.follow(build)
        return build

    def refusal(self, function: FunctionRecord, deployment: DeploymentRecord) -> GatewayError | None:
        """Why a function can't be rolled back to one of its deployments now; None where it can."""
        if function.active_build_id is not None:
            return under_way(function.id, function.active_build_id)
        if function.current_deployment_id == deployment.id:
            return ConflictError(f"The deployment {deployment.id} is what runs now.")
        namespace = function.namespace or deployment.namespace
        if namespace not in self._namespaces:
            message = (
                f"The function is in the namespace {namespace}, which is not one of FUNCTION_NAMESPACES any more."
            )
            return InvalidInputError(message, field="functionId")
        return None

    async def _find(self, function: FunctionRecord, deployment_id: str) -> DeploymentRecord:
        key = (function.workspace_id, deployment_id)
        found: dict[tuple[str, str], DeploymentRecord] = {}
        owner, _, microseconds = deployment_id.rpartition("-")
        if owner == function.id and _MICROSECONDS.fullmatch(microseconds):
            found = await self._dynamo.deployments.get_many(frozenset({key}))
        if key not in found:
            message = f"The function {function.id} has no deployment {deployment_id[:100]}."
            raise NotFoundError(message, field="deploymentId")
        return found[key]

    def _new_build(self, function: FunctionRecord, deployment: DeploymentRecord) -> BuildRecord:
        """How it was deployed then, where the function is now: a rollback changes what runs, not where."""
        now = self._clock()
        step = first_step(BuildKind.ROLLBACK, now)
        then = deployment.deploy or DeploySpec(
            app_name=deployment.app_name,
            namespace=deployment.namespace,
            enable_autoscaling=deployment.enable_autoscaling,
            replicas=None,
            use_spot=deployment.use_spot,
            memory_limit=f"{function.memory}Mi",
            revision=function.deployed_revision,
        )
        spec = replace(
            then,
            app_name=function.app_name or deployment.app_name,
            namespace=function.namespace or deployment.namespace,
            failure_status=failure_status(function),
            former=None,
        )
        return BuildRecord(
            id=new_build_id(),
            workspace_id=function.workspace_id,
            kind=BuildKind.ROLLBACK,
            status=step.status,
            app_name=spec.app_name,
            created_at=now,
            updated_at=now,
            function_id=function.id,
            image_url=deployment.image_url,
            steps=(step,),
            deploy=spec,
        )
