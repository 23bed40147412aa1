"""Builds in the table: their rows, their pointers with who polls them, and the lists they are in.

A build is written in one transaction with everything that refers to it, and changed by writes that are conditional
on the sequence they were made from. What a row holds is build_rows.py's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.errors import ConflictError, NotFoundError
from gateway.records.builder import BuilderTask
from gateway.records.builds import (
    BuildChangedError,
    BuildRecord,
    DeploymentRecord,
    FunctionGoneError,
    Lease,
    LeaseLostError,
)
from gateway.records.image_deploys import Place
from gateway.records.pages import Page
from gateway.upstream.dynamo import function_deploys, handovers, rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_lists import read_builds
from gateway.upstream.dynamo.build_rows import to_build, to_changes, to_item, to_task
from gateway.upstream.dynamo.deployments import to_deployment_item
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Check,
    Put,
    Update,
    Write,
    all_of,
    begins_with,
    equals,
    not_exists,
)
from gateway.upstream.dynamo.handovers import HandoverTable
from gateway.upstream.dynamo.keys import (
    build_key,
    build_pointer_key,
    function_build_key,
    workspace_key,
)
from gateway.upstream.dynamo.leases import LeaseTable, ending, new_pointer, renewal
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.refusals import DeployRefusals
from gateway.upstream.dynamo.table import Table
from gateway.upstream.dynamo.workspaces import live_workspace

_WORKSPACE, _FUNCTION, _IMAGE, _PLACE = 2, 4, 5, 6
"""Places of the conditions on others in the transaction that creates a build."""
_POINTER = 1
"""Place of the condition on the lease in the transactions that change a build, after the one on its row."""


def _to_entry(item: Item) -> tuple[str, str]:
    """Read an entry of a function's list: the build and its workspace."""
    return rows.required_text(item, "build_id"), rows.required_text(item, "workspace_id")


class BuildTable:
    """Reads and writes builds."""

    def __init__(self, table: Table, pointers: Pointers) -> None:
        self._table = table
        self._pointers = pointers
        self.leases = LeaseTable(table, pointers)
        self.handovers = HandoverTable(table)

    def remember(self, build_id: str, workspace_id: str) -> None:
        """Spare the read of a pointer whose content is known from elsewhere."""
        self._pointers.remember(build_id, workspace_id)

    async def get(self, build_id: str) -> BuildRecord | None:
        """A build as it is stored now."""
        return (await self.get_many([build_id])).get(build_id)

    async def get_many(self, build_ids: Iterable[str]) -> dict[str, BuildRecord]:
        """Builds as they are stored now, by id; those that do not exist are absent."""
        workspaces = await self._pointers.workspaces_of(build_ids, build_pointer_key)
        keys = {build_key(workspace_id, build_id): build_id for build_id, workspace_id in workspaces.items()}
        found: dict[str, BuildRecord] = {}
        for key, item in (await self._table.batch_get(keys)).items():
            build = rows.read_row(item, to_build)
            if build is not None:
                found[keys[key]] = build
        return found

    async def list_of_workspace(self, workspace_id: str, *, first: int, after: str | None) -> Page[BuildRecord]:
        """A page of a workspace's builds, newest first; the builder's own row of one of ours is left out."""
        return await read_builds(self._table, self.handovers, workspace_id, first=first, after=after)

    async def list_of_function(self, function_id: str, *, first: int, after: str | None) -> Page[BuildRecord]:
        """A page of a function's builds, newest first."""
        partition = RowRange(partition=f"FN#{function_id}", low="BUILD#", high="BUILD#~", forward=False)
        page = await read_page(self._table, partition, first=first, after=after, convert=_to_entry)
        for build_id, workspace_id in page.items:
            self.remember(build_id, workspace_id)
        ids = [build_id for build_id, _ in page.items]
        builds = await self.get_many(ids)
        kept = [(id_, at) for id_, at in zip(ids, page.positions, strict=True) if id_ in builds]
        return Page(
            items=tuple(builds[id_] for id_, _ in kept),
            positions=tuple(at for _, at in kept),
            has_next=page.has_next,
            has_previous=page.has_previous,
            reached=page.end,
        )

    async def list_unfinished(self, workspace_id: str | None = None) -> list[BuildRecord]:
        """The builds (of a workspace) that are not finished, oldest first; the newest second's may be missing."""
        active = await self.leases.list_active()
        ids = [build.id for build in active if workspace_id in {None, build.workspace_id}]
        builds = await self.get_many(ids)
        return [builds[id_] for id_ in ids if id_ in builds and not builds[id_].status.is_final]

    async def get_builder_task(self, workspace_id: str, task_id: str) -> BuilderTask | None:
        """The Builder Service's own row of a task: it tells building from pushing, its HTTP answer does not."""
        item = await self._table.get(build_key(workspace_id, task_id))
        return None if item is None else rows.read_row(item, to_task)

    async def create(self, build: BuildRecord, *, lease_until: datetime) -> None:
        """Write a new build with all that refers to it.

        NotFoundError where its workspace or function is gone, ConflictError (details: buildId, or imageRef) where
        another deploy of the function is under way, PlaceTakenError where its SpinApp would be another's.
        """
        writes: list[Write] = [
            Put(item=to_item(build), condition=not_exists()),
            Put(item=new_pointer(build, lease_until), condition=not_exists()),
            Check(key=workspace_key(build.workspace_id), condition=live_workspace()),
        ]
        if build.function_id is not None:
            entry = function_build_key(build.function_id, build.created_at, build.id).as_item()
            names = {"build_id": build.id, "workspace_id": build.workspace_id}
            writes.append(Put(item=entry | names, condition=not_exists()))
            writes.append(function_deploys.start_build(build, build.function_id))
            if build.deploy is not None:
                writes += function_deploys.start_deploy(build, build.deploy, build.function_id)
        try:
            await self._table.transact(writes)
        except ConditionFailedError as error:
            raise await self._refusal(build, error) from error
        self.remember(build.id, build.workspace_id)

    async def _refusal(self, build: BuildRecord, error: ConditionFailedError) -> Exception:
        if _WORKSPACE in error.failed:
            return NotFoundError(f"There is no workspace {build.workspace_id}.", field="workspaceId")
        refusals = DeployRefusals(self._table)
        if _FUNCTION in error.failed and build.function_id is not None:
            return await refusals.of_function(build.workspace_id, build.function_id)
        if _IMAGE in error.failed and build.function_id is not None:
            image = await refusals.of_hold(build.function_id)
            return image or ConflictError(f"An image was deployed to {build.function_id}.", retryable=True)
        if _PLACE in error.failed and build.deploy is not None:
            return await refusals.of_place(Place(build.deploy.namespace, build.deploy.app_name))
        return ConflictError(f"A build {build.id} exists already.", retryable=True)

    async def accept(
        self, build: BuildRecord, task_id: str, source_path: str | None, *, lease: Lease | None = None
    ) -> BuildRecord:
        """Note the builder's task; no status is entered, so that the sequence stays. Errors are `advance`'s.

        The task is noted all the same where the build was ended meanwhile: the builder has it.
        """
        unchanged = all_of(equals("sequence", build.sequence), not_exists("builder_task_id"))
        writes: list[Write] = [handovers.accepted(build, task_id, source_path, condition=unchanged)]
        if lease is not None:
            writes.append(renewal(build.id, lease))
        writes.append(handovers.claim(build, task_id))
        try:
            await self._change(writes, len(writes), lease)
        except (BuildChangedError, LeaseLostError):
            await self.handovers.note_late(build, task_id, source_path)
            raise
        return replace(build, builder_task_id=task_id, source_path=source_path or build.source_path)

    async def advance(
        self,
        build: BuildRecord,
        following: BuildRecord,
        *,
        lease: Lease | None = None,
        deployment: DeploymentRecord | None = None,
    ) -> None:
        """Store what follows a build's state, with what it means for its function, all or nothing.

        `lease` is the writer's, which goes on with it; without one anybody may write. `deployment` is what a
        deploy ended with. Raises BuildChangedError where the row has moved on or is gone, LeaseLostError where
        another carries it, and FunctionGoneError where a deployment has no function any more; an end without one
        needs none.
        """
        key = build_key(build.workspace_id, build.id)
        writes: list[Write] = [
            Update(key=key, set=to_changes(following), condition=equals("sequence", build.sequence))
        ]
        if following.status.is_final:
            writes.append(ending(following, lease))
        elif lease is not None:
            writes.append(renewal(build.id, lease))
        own = len(writes)
        if deployment is not None and build.function_id is not None:
            writes.append(Put(item=to_deployment_item(deployment), condition=not_exists()))
            writes.append(function_deploys.finish_deploy(following, deployment, build.function_id))
        else:
            writes += function_deploys.follow_build(following)
        try:
            await self._change(writes, own, lease)
        except FunctionGoneError:
            if deployment is not None or not following.status.is_final:
                raise
            await self._change(writes[:own], own, lease)

    async def forget_function(self, function_id: str) -> None:
        """Remove the list of a deleted function's builds; the builds stay in their workspace's."""
        await self._table.delete_range(f"FN#{function_id}", "BUILD#")

    async def delete_of_workspace(self, workspace_id: str) -> None:
        """Remove all builds of a workspace, the builder's rows too; pointers first, so that it can be repeated."""
        mine = all_of(equals("PK", f"WS#{workspace_id}"), begins_with("SK", "BUILD#"))
        ids: dict[str, None] = {}
        async for item in self._table.query_all(mine, attributes=("SK", "builder_task_id"), consistent=True):
            ids |= dict.fromkeys([item["SK"].partition("#")[2], item.get("builder_task_id") or ""])
        ids.pop("", None)
        await self._table.delete_many(build_pointer_key(build_id) for build_id in ids)
        for build_id in ids:
            self._pointers.forget(build_id)
        await self._table.delete_range(f"WS#{workspace_id}", "BUILD#")

    async def _change(self, writes: Sequence[Write], own: int, lease: Lease | None) -> None:
        """Make writes of which the first `own` are the build's, the others its function's."""
        try:
            match writes:
                case [Update() as update]:  # half the price of a transaction
                    await self._table.write(update)
                case _:
                    await self._table.transact(writes)
        except ConditionFailedError as error:
            if lease is not None and _POINTER in error.failed:
                raise LeaseLostError from error
            raise (BuildChangedError if min(error.failed) < own else FunctionGoneError)() from error
