"""Why a deploy can't be started, found out after its transaction was refused."""

from datetime import UTC

from gateway.errors import ConflictError, GatewayError, NotFoundError, PlaceTakenError
from gateway.records.image_deploys import Place
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.holds import HoldTable
from gateway.upstream.dynamo.keys import function_key, image_deploy_key
from gateway.upstream.dynamo.places import PlaceTable, taken
from gateway.upstream.dynamo.table import Table


def under_way(function_id: str, build_id: str | None) -> ConflictError:
    """The refusal of a second deploy of a function while a build deploys it."""
    message = f"Another deploy of {function_id} is under way: build {build_id}; "
    message += "wait for its end, or cancel it with cancelBuild."
    return ConflictError(message, details={"buildId": build_id})


class DeployRefusals:
    """Reads what stands in the way."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._holds = HoldTable(table)
        self._places = PlaceTable(table)

    async def of_function(self, workspace_id: str, function_id: str) -> GatewayError:
        """The function is gone, or a build deploys it."""
        key = function_key(workspace_id, function_id)
        function = await self._table.get(key, attributes=("PK", "active_build_id"))
        if function is None:
            return NotFoundError(f"There is no function {function_id}.", field="functionId")
        return under_way(function_id, function.get("active_build_id"))

    async def of_hold(self, function_id: str) -> ConflictError | None:
        """Another image is being deployed; None where that was a search for an endpoint, or is over by now."""
        hold = await self._holds.get(function_id)
        if hold is None or not hold.first:
            return None
        wanted = ("image_url", "started_at")
        item = await self._table.get(image_deploy_key(function_id), attributes=wanted) or {}
        image, at = rows.optional_text(item, "image_url"), rows.optional_time(item, "started_at")
        started_at = None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds")
        message = f"Another deploy of {function_id} is under way: the image {image}, started at {started_at}; "
        message += "wait for its end."
        details = {"imageRef": image, "startedAt": started_at}
        return ConflictError(message, details=details, retryable=True)

    async def of_place(self, place: Place) -> PlaceTakenError | ConflictError:
        """The place is another function's, or was until now."""
        owner = await self._places.owner_of(place)
        if owner is not None:
            return taken(place, owner)
        message = f"The SpinApp {place.app_name} in {place.namespace} was another function's until now; try again."
        return ConflictError(message, retryable=True)
