"""Deployments in the table: what of a function ran when, newest last in key order.

A deployment's id is its function's with the microsecond it was deployed in, so that the id leads to the row.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.records.builds import DeploymentRecord
from gateway.records.pages import Page
from gateway.upstream.dynamo import function_deploys, rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import deploy_to_map, to_deploy
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Update, exists
from gateway.upstream.dynamo.keys import Key, deployment_key, function_key, stamp
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import Table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_deployment_id(function_id: str, deployed_at: datetime) -> str:
    """The id of what was deployed then, such as `fn-1a2b3c4d-1765080000123456`."""
    return f"{function_id}-{(deployed_at - _EPOCH) // timedelta(microseconds=1)}"


def to_deployment_item(deployment: DeploymentRecord) -> dict[str, Any]:
    """The whole row of a deployment that is a function's."""
    key = _key(deployment.workspace_id or "", deployment.id)
    item = {
        "Type": "Deployment",
        "id": deployment.id,
        "workspace_id": deployment.workspace_id,
        "function_id": deployment.function_id,
        "app_name": deployment.app_name,
        "namespace": deployment.namespace,
        "image_url": deployment.image_url,
        "service_name": deployment.service_name,
        "service_status": deployment.service_status,
        "endpoint": deployment.endpoint,
        "enable_autoscaling": deployment.enable_autoscaling,
        "use_spot": deployment.use_spot,
        "deployed_at": stamp(deployment.deployed_at),
        "deploy": deploy_to_map(deployment.deploy),
    }
    return key.as_item() | rows.without_none(item)


def to_deployment(item: Item) -> DeploymentRecord:
    """Read a deployment's row."""
    return DeploymentRecord(
        id=rows.required_text(item, "id"),
        workspace_id=rows.required_text(item, "workspace_id"),
        function_id=rows.required_text(item, "function_id"),
        app_name=rows.required_text(item, "app_name"),
        namespace=rows.required_text(item, "namespace"),
        image_url=rows.required_text(item, "image_url"),
        service_name=rows.optional_text(item, "service_name"),
        service_status=rows.text(item, "service_status"),
        endpoint=rows.optional_text(item, "endpoint"),
        enable_autoscaling=bool(item.get("enable_autoscaling")),
        use_spot=bool(item.get("use_spot")),
        deployed_at=rows.time(item, "deployed_at"),
        deploy=to_deploy(item.get("deploy")),
    )


def _key(workspace_id: str, deployment_id: str) -> Key:
    function_id, _, microseconds = deployment_id.rpartition("-")
    return deployment_key(workspace_id, function_id, _EPOCH + timedelta(microseconds=int(microseconds)))


class DeploymentTable:
    """Reads and writes deployments."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get_many(self, keys: frozenset[tuple[str, str]]) -> dict[tuple[str, str], DeploymentRecord]:
        """Deployments by workspace id and deployment id; those that do not exist are absent."""
        wanted = {_key(*pair): pair for pair in keys}
        found: dict[tuple[str, str], DeploymentRecord] = {}
        for key, item in (await self._table.batch_get(wanted)).items():
            deployment = rows.read_row(item, to_deployment)
            if deployment is not None:
                found[wanted[key]] = deployment
        return found

    async def list_of_function(
        self, workspace_id: str, function_id: str, *, first: int, after: str | None
    ) -> Page[DeploymentRecord]:
        """A page of a function's deployments, newest first."""
        prefix = f"DEPLOY#{function_id}#"
        partition = RowRange(partition=f"WS#{workspace_id}", low=prefix, high=prefix + "~", forward=False)
        return await read_page(self._table, partition, first=first, after=after, convert=to_deployment)

    async def set_endpoint(self, deployment: DeploymentRecord, workspace_id: str, function_id: str) -> None:
        """Note an endpoint that came after the deployment was stored; a deployment or function gone is left so."""
        changes = {"endpoint": deployment.endpoint, "service_status": deployment.service_status}
        late = Update(key=_key(workspace_id, deployment.id), set=changes, condition=exists())
        function = function_deploys.find_endpoint(function_key(workspace_id, function_id), deployment)
        for write in (late, function):
            try:
                await self._table.write(write)
            except ConditionFailedError:
                return

    async def delete_of_function(self, workspace_id: str, function_id: str) -> None:
        """Remove all that is stored of a function's deployments."""
        await self._table.delete_range(f"WS#{workspace_id}", f"DEPLOY#{function_id}#")
