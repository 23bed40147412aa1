"""Unfinished deploys of images in the table: one row beside the function, listed in the index until it ends.

It is written with the hold and the place before the builder is called, so that a crash loses nothing: whatever
replica finds it later does the rest. What the steps are is gateway/builds/image_deploys.py's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway.errors import NotFoundError
from gateway.records.builds import BuildRecord, DeploymentRecord, DeploySpec
from gateway.records.image_deploys import DeployOverError, HoldTakenError, ImageDeploy, Place
from gateway.upstream.dynamo import function_deploys, holds, rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import deploy_to_map, to_deploy
from gateway.upstream.dynamo.deployments import to_deployment_item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Check,
    Delete,
    Put,
    Update,
    Write,
    all_of,
    any_of,
    compares,
    equals,
    not_exists,
)
from gateway.upstream.dynamo.keys import (
    ACTIVE_IMAGE_DEPLOYS,
    INDEX,
    INDEX_PK,
    INDEX_SK,
    Key,
    function_key,
    image_deploy_key,
    stamp,
)
from gateway.upstream.dynamo.places import claim, listing
from gateway.upstream.dynamo.refusals import DeployRefusals
from gateway.upstream.dynamo.table import Table


def to_item(deploy: ImageDeploy) -> dict[str, Any]:
    """The whole row."""
    item = {
        **image_deploy_key(deploy.function_id).as_item(),
        INDEX_PK: ACTIVE_IMAGE_DEPLOYS,
        INDEX_SK: f"{stamp(deploy.started_at)}#{deploy.id}",
        "Type": "ImageDeploy",
        "id": deploy.id,
        "workspace_id": deploy.workspace_id,
        "function_id": deploy.function_id,
        "image_url": deploy.image_url,
        "deploy": deploy_to_map(deploy.spec),
        "started_at": stamp(deploy.started_at),
        "carried_until": stamp(deploy.carried_until),
        "is_new_place": deploy.is_new_place,
        "times_carried": deploy.times_carried,
        "is_abandoned": deploy.is_abandoned or None,
        "deployment_id": deploy.deployment_id,
    }
    return rows.without_none(item)


def to_image_deploy(item: Item) -> ImageDeploy | None:
    """Read a row; None where it does not say how to deploy."""
    spec: DeploySpec | None = to_deploy(item.get("deploy"))
    if spec is None:
        return None
    return ImageDeploy(
        id=rows.required_text(item, "id"),
        workspace_id=rows.required_text(item, "workspace_id"),
        function_id=rows.required_text(item, "function_id"),
        image_url=rows.required_text(item, "image_url"),
        spec=spec,
        started_at=rows.time(item, "started_at"),
        carried_until=rows.time(item, "carried_until"),
        is_new_place=bool(item.get("is_new_place")),
        times_carried=rows.integer(item, "times_carried", 1),
        is_abandoned=bool(item.get("is_abandoned")),
        deployment_id=rows.optional_text(item, "deployment_id"),
    )


def _function(deploy: ImageDeploy) -> Key:
    return function_key(deploy.workspace_id, deploy.function_id)


class ImageDeployTable:
    """Reads and writes unfinished deploys of images."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._holds = holds.HoldTable(table)
        self._refusals = DeployRefusals(table)

    async def start(self, deploy: ImageDeploy, *, former: Place | None) -> None:
        """Hold the function and claim the place, before the builder is called; an earlier search ends with it.

        NotFoundError where the function is gone; ConflictError (details name it) where a build deploys the
        function, or another image is being deployed; HoldTakenError where the builder is called for it at this
        moment; PlaceTakenError where the place is another function's.
        """
        writes: list[Write] = [
            Check(key=_function(deploy), condition=function_deploys.is_free()),
            holds.take(deploy.function_id, deploy.holder, deploy.started_at, first=True),
            claim(deploy.function_id, deploy.place),
            Put(item=to_item(deploy)),
            listing(deploy.function_id, deploy.place),
        ]
        if former is not None and former != deploy.place:
            writes.append(listing(deploy.function_id, former))
        try:
            await self._table.transact(writes)
        except ConditionFailedError as error:
            raise await self._refusal(deploy, error.failed) from error

    async def _refusal(self, deploy: ImageDeploy, failed: Sequence[int]) -> Exception:
        if 0 in failed:
            return await self._refusals.of_function(deploy.workspace_id, deploy.function_id)
        if 1 in failed:
            return await self._refusals.of_hold(deploy.function_id) or HoldTakenError()
        return await self._refusals.of_place(deploy.place)

    async def take_over(self, deploy: ImageDeploy, now: datetime, until: datetime) -> bool:
        """Go on with what nobody carries any more; False where somebody does, or where it is over."""
        passed = compares("carried_until", "<", stamp(now))
        return await self._write(
            Update(
                key=image_deploy_key(deploy.function_id),
                set={"carried_until": stamp(until)},
                add={"times_carried": 1},
                condition=all_of(equals("id", deploy.id), passed),
            )
        )

    async def hold(self, deploy: ImageDeploy, now: datetime) -> None:
        """Hold the function for one call of the builder.

        DeployOverError where the deploy is not the function's newest any more, HoldTakenError where somebody else
        calls at this moment.
        """
        newest = function_deploys.is_free()
        if deploy.deployment_id is not None:
            newest = all_of(newest, equals("current_deployment_id", deploy.deployment_id))
        until = stamp(now + timedelta(seconds=holds.HOLD_S))
        first = deploy.deployment_id is None
        writes: list[Write] = [
            Check(key=_function(deploy), condition=newest),
            holds.take(deploy.function_id, deploy.holder, now, first=first),
            Update(
                key=image_deploy_key(deploy.function_id),
                set={"carried_until": until},
                condition=equals("id", deploy.id),
            ),
        ]
        try:
            await self._table.transact(writes)
        except ConditionFailedError as error:
            raise (HoldTakenError if error.failed == (1,) else DeployOverError)() from error

    async def store(self, deploy: ImageDeploy, deployment: DeploymentRecord, until: datetime) -> None:
        """Store the builder's first answer and release the function; the row stays, for what is still to be done.

        NotFoundError where the function is gone, DeployOverError where another deploy has followed.
        """
        unanswered = all_of(equals("id", deploy.id), not_exists("deployment_id"))
        changes = {"deployment_id": deployment.id, "carried_until": stamp(until)}
        key = image_deploy_key(deploy.function_id)
        try:
            await self._table.transact(
                [
                    function_deploys.deploy_directly(_function(deploy), deployment),
                    holds.release(deploy.function_id, deploy.holder),
                    Update(key=key, set=changes, condition=unanswered),
                    Put(item=to_deployment_item(deployment), condition=not_exists()),
                ]
            )
        except ConditionFailedError as error:
            if await self._table.get(_function(deploy), attributes=("PK",)) is None:
                message = f"There is no function {deploy.function_id}."
                raise NotFoundError(message, field="functionId") from error
            raise DeployOverError from error

    async def rest(self, deploy: ImageDeploy, until: datetime) -> None:
        """Release the function until the next call, which is this replica's until then."""
        await self._holds.release(deploy.function_id, deploy.holder)
        key = image_deploy_key(deploy.function_id)
        await self._write(Update(key=key, set={"carried_until": stamp(until)}, condition=equals("id", deploy.id)))

    async def end(self, deploy: ImageDeploy) -> None:
        """Nothing is left to do; it can be repeated. What has taken its place is left alone."""
        mine = any_of(not_exists(), equals("id", deploy.id))
        await self._write(Delete(key=image_deploy_key(deploy.function_id), condition=mine))
        await self._holds.release(deploy.function_id, deploy.holder)

    async def abandon(self, deploy: ImageDeploy) -> None:
        """Nobody makes it again, and the hold is left to pass by itself: the builder may be at it still."""
        key = image_deploy_key(deploy.function_id)
        await self._write(Update(key=key, set={"is_abandoned": True}, condition=equals("id", deploy.id)))

    async def abandon_build(self, build: BuildRecord, now: datetime) -> None:
        """Have what comes of a build looked after, whose function is being deleted while the builder is at it."""
        hold = await self._holds.get(build.function_id or "")
        if build.deploy is None or hold is None or hold.until < now:
            return
        deploy = ImageDeploy(
            id=build.id,
            workspace_id=build.workspace_id,
            function_id=build.function_id or "",
            image_url=build.image_url or "",
            spec=build.deploy,
            started_at=now,
            carried_until=hold.until,
            is_abandoned=True,
        )
        await self._table.write(Put(item=to_item(deploy)))

    async def forget_function(self, function_id: str, now: datetime) -> None:
        """Remove what a deleted function leaves; what the builder does at this moment is left to who called it."""
        hold = await self._holds.get(function_id)
        if hold is not None and hold.until >= now:
            return
        await self._write(Delete(key=image_deploy_key(function_id)))
        if hold is not None:
            await self._holds.release(function_id, hold.by)

    async def list_unfinished(self) -> list[ImageDeploy]:
        """All of them, oldest first; the index may lag by a second."""
        found = self._table.query_all(equals(INDEX_PK, ACTIVE_IMAGE_DEPLOYS), index=INDEX)
        read = [rows.read_row(item, to_image_deploy) async for item in found]
        return [deploy for deploy in read if deploy is not None]

    async def _write(self, write: Update | Delete) -> bool:
        try:
            await self._table.write(write)
        except ConditionFailedError:
            return False
        return True
