"""A deploy's request to the builder, and what is stored of its answer; when it is asked for is pipeline.py's."""

import json
from datetime import datetime

from gateway.records.builder import DeployRequest, DeployResult
from gateway.records.builds import DeploymentRecord, DeploySpec
from gateway.records.functions import FunctionRecord
from gateway.records.image_deploys import Place


def deploy_request(spec: DeploySpec, image_ref: str, app_name: str, function_id: str | None) -> DeployRequest:
    """A deploy's request; under autoscaling the count of replicas is the autoscaler's."""
    placement = {} if spec.placement is None else json.loads(spec.placement)
    return DeployRequest(
        namespace=spec.namespace,
        image_ref=image_ref,
        app_name=app_name,
        function_id=function_id,
        enable_autoscaling=spec.enable_autoscaling,
        replicas=None if spec.enable_autoscaling else spec.replicas,
        use_spot=spec.use_spot,
        cpu_limit=spec.cpu_limit,
        memory_limit=spec.memory_limit,
        cpu_request=spec.cpu_request,
        memory_request=spec.memory_request,
        service_account=spec.service_account,
        custom_tolerations=placement.get("tolerations"),
        custom_affinity=placement.get("affinity"),
    )


def to_deployment(
    result: DeployResult,
    *,
    deployment_id: str,
    workspace_id: str | None,
    function_id: str | None,
    image_url: str,
    now: datetime,
    spec: DeploySpec | None = None,
) -> DeploymentRecord:
    """What the builder deployed, as it is stored."""
    return DeploymentRecord(
        id=deployment_id,
        workspace_id=workspace_id,
        function_id=function_id,
        app_name=result.app_name,
        namespace=result.namespace,
        image_url=image_url,
        service_name=result.service_name,
        service_status=result.service_status,
        endpoint=result.endpoint,
        enable_autoscaling=result.enable_autoscaling,
        use_spot=result.use_spot,
        deployed_at=now,
        deploy=spec,
    )


def image_spec(
    request: DeployRequest, place: Place, function: FunctionRecord, *, former: str | None
) -> DeploySpec:
    """How an image is deployed to a function, so that it can be gone on with, and be rolled back to."""
    given = {"tolerations": request.custom_tolerations, "affinity": request.custom_affinity}
    placement = {name: value for name, value in given.items() if value is not None}
    return DeploySpec(
        app_name=place.app_name,
        namespace=place.namespace,
        enable_autoscaling=request.enable_autoscaling,
        replicas=request.replicas,
        use_spot=request.use_spot,
        cpu_limit=request.cpu_limit,
        memory_limit=request.memory_limit,
        cpu_request=request.cpu_request,
        memory_request=request.memory_request,
        service_account=request.service_account,
        placement=json.dumps(placement) if placement else None,
        former=former,
        revision=function.revision,
    )
