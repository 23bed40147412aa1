"""What a deploy changes on its function's row, as parts of the transaction that changes the build's own.

`active_build_id` bars a second deploy: set if absent with the build, and removed with the build's last state.
"""

from typing import Any

from gateway.records.builds import BuildRecord, BuildStatus, DeploymentRecord, DeploySpec
from gateway.records.functions import FunctionStatus
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import holds, places
from gateway.upstream.dynamo.expressions import (
    Condition,
    Delete,
    Update,
    Write,
    all_of,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.function_rows import to_url
from gateway.upstream.dynamo.keys import Key, function_key, image_deploy_key, stamp


def is_free() -> Condition:
    """The function is there, and no deploy of it is under way."""
    return all_of(exists(), not_exists("active_build_id"))


def start_build(build: BuildRecord, function_id: str) -> Update:
    """The function's newest build; one that deploys takes the function as well."""
    key = function_key(build.workspace_id, function_id)
    newest = {"latest_build_id": build.id}
    if build.deploy is None:
        return Update(key=key, set=newest, condition=exists())
    deploying = build.status is BuildStatus.DEPLOYING
    status = FunctionStatus.DEPLOYING if deploying else FunctionStatus.BUILDING
    return Update(
        key=key,
        set=newest | {"active_build_id": build.id, "status": status.value},
        condition=is_free(),
    )


def start_deploy(build: BuildRecord, deploy: DeploySpec, function_id: str) -> list[Write]:
    """What a build that deploys needs besides the function: no image on its way there, and the place.

    The first two are conditions on others. A search for an earlier image's endpoint ends: asking is deploying.
    """
    place = Place(deploy.namespace, deploy.app_name)
    writes: list[Write] = [
        holds.bars_nothing(function_id, build.created_at),
        places.claim(function_id, place),
        places.listing(function_id, place, may_run=build.status is BuildStatus.DEPLOYING),
        Delete(key=image_deploy_key(function_id)),
    ]
    if deploy.former is not None:
        writes.append(places.listing(function_id, Place.parse(deploy.former)))
    return writes


def follow_build(build: BuildRecord) -> list[Write]:
    """What the function becomes when its deploy enters `build.status`; DONE is `finish_deploy`'s."""
    if build.deploy is None or build.function_id is None:
        return []
    key = function_key(build.workspace_id, build.function_id)
    held = equals("active_build_id", build.id)
    match build.status:
        case BuildStatus.DEPLOYING:
            # Before /deploy is called: from then on the SpinApp may be there, and a delete has to find it.
            # One that moves keeps its former place until it is reached at the new one.
            own = {} if build.deploy.former else _place(build.deploy)
            place = Place(build.deploy.namespace, build.deploy.app_name)
            return [
                Update(key=key, set={"status": FunctionStatus.DEPLOYING.value, **own}, condition=held),
                places.listing(build.function_id, place),
            ]
        case BuildStatus.FAILED | BuildStatus.CANCELLED:
            changes = {"status": build.deploy.failure_status.value}
            return [Update(key=key, set=changes, remove=("active_build_id",), condition=held)]
        case _:
            return []


def finish_deploy(build: BuildRecord, deployment: DeploymentRecord, function_id: str) -> Update:
    """The function runs what its build deployed."""
    revision = {} if build.deploy is None else {"deployed_revision": build.deploy.revision}
    return Update(
        key=function_key(build.workspace_id, function_id),
        set=_running(deployment) | revision,
        remove=("active_build_id",),
        condition=equals("active_build_id", build.id),
    )


def deploy_directly(key: Key, deployment: DeploymentRecord) -> Update:
    """The function runs an image that was deployed without a build: what changes from now on is not deployed."""
    revision = {} if deployment.deploy is None else {"deployed_revision": deployment.deploy.revision}
    return Update(key=key, set=_running(deployment) | revision, condition=is_free())


def find_endpoint(key: Key, deployment: DeploymentRecord) -> Update:
    """The endpoint of a deployment came later; the function takes it while that deployment is its current one."""
    return Update(
        key=key,
        set={"invocationUrl": to_url(deployment.endpoint or "")},
        condition=equals("current_deployment_id", deployment.id),
    )


def _running(deployment: DeploymentRecord) -> dict[str, Any]:
    running: dict[str, Any] = {
        "status": FunctionStatus.ACTIVE.value,
        "lastDeployed": stamp(deployment.deployed_at),
        "app_name": deployment.app_name,
        "namespace": deployment.namespace,
        "current_deployment_id": deployment.id,
    }
    return running | ({"invocationUrl": to_url(deployment.endpoint)} if deployment.endpoint else {})


def _place(deploy: DeploySpec) -> dict[str, Any]:
    return {"app_name": deploy.app_name, "namespace": deploy.namespace}
