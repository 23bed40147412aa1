"""Who carries a build: owner and lease on its pointer row, taken and kept by conditional writes.

A pointer is in the index of unfinished builds until its build ends. Then it stays in the same partition, before
them and in the order in which builds ended: one Query finds what is not finished and what ended in the last
seconds. What is a passed lease, and what follows from one, is gateway/builds/lease.py's.
"""

from datetime import datetime
from typing import Any

from gateway.records.builds import ActiveBuild, BuildRecord, Lease
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import build_position
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import (
    Condition,
    Update,
    all_of,
    any_of,
    compares,
    equals,
    exists,
    not_exists,
)
from gateway.upstream.dynamo.keys import ACTIVE_BUILDS, INDEX, INDEX_PK, INDEX_SK, build_pointer_key, stamp
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.table import Table

_LEASE = ("owner", "lease")
_ENDED = "#ENDED#"
"""Before the time at which a build ended; it sorts before every time at which one was made."""
_UNFINISHED = "0"
"""Sorts after what has ended, and before every time."""


def new_pointer(build: BuildRecord, lease_until: datetime) -> dict[str, Any]:
    """The pointer of a new build, which belongs to `build.owner` until then."""
    return rows.without_none(
        {
            **build_pointer_key(build.id).as_item(),
            INDEX_PK: ACTIVE_BUILDS,
            INDEX_SK: build_position(build),
            "workspace_id": build.workspace_id,
            "owner": build.owner,
            "lease": stamp(lease_until),
        }
    )


def renewal(build_id: str, lease: Lease) -> Update:
    """The lease goes on, where it is still its owner's."""
    changes = {"lease": stamp(lease.until)}
    return Update(key=build_pointer_key(build_id), set=changes, condition=equals("owner", lease.owner))


def ending(build: BuildRecord, lease: Lease | None) -> Update:
    """The build is finished, and nobody's. With a lease only its owner may end it, without one anybody."""
    condition = exists() if lease is None else equals("owner", lease.owner)
    ended_at = build.finished_at or build.updated_at
    place = {INDEX_PK: ACTIVE_BUILDS, INDEX_SK: f"{_ENDED}{stamp(ended_at)}#{build.id}"}
    return Update(key=build_pointer_key(build.id), set=place, remove=_LEASE, condition=condition)


def _is_unfinished() -> Condition:
    return all_of(exists(INDEX_PK), compares(INDEX_SK, ">=", _UNFINISHED))


class LeaseTable:
    """Reads and writes leases."""

    def __init__(self, table: Table, pointers: Pointers) -> None:
        self._table = table
        self._pointers = pointers

    async def list_active(self, *, ended_since: datetime | None = None) -> list[ActiveBuild]:
        """All builds that are not finished, oldest first; the index may lag by a second.

        Before them those that have ended since a time, where one is given.
        """
        wanted = ("PK", INDEX_SK, "workspace_id", *_LEASE)
        low = _UNFINISHED if ended_since is None else f"{_ENDED}{stamp(ended_since)}"
        active = all_of(equals(INDEX_PK, ACTIVE_BUILDS), compares(INDEX_SK, ">=", low))
        pointers = self._table.query_all(active, index=INDEX, attributes=wanted)
        found = [build async for item in pointers if (build := rows.read_row(item, _to_active)) is not None]
        for build in found:
            self._pointers.remember(build.id, build.workspace_id)
        return found

    async def take(self, build_id: str, lease: Lease, *, passed_before: datetime) -> bool:
        """Take an unfinished build that nobody has, or whose lease ended before that; False where it is not so."""
        free = any_of(not_exists("owner"), not_exists("lease"), compares("lease", "<", stamp(passed_before)))
        changes = {"owner": lease.owner, "lease": stamp(lease.until)}
        condition = all_of(_is_unfinished(), free)
        return await self._write(Update(key=build_pointer_key(build_id), set=changes, condition=condition))

    async def renew(self, build_id: str, lease: Lease) -> bool:
        """Prolong a lease; False where it is another's by now."""
        return await self._write(renewal(build_id, lease))

    async def give_up(self, build_id: str, owner: str) -> None:
        """Leave an unfinished build to others; one that is another's already is left so."""
        await self._write(
            Update(key=build_pointer_key(build_id), remove=_LEASE, condition=equals("owner", owner)),
        )

    async def retire(self, build_id: str) -> None:
        """Take a pointer whose build is gone or finished out of the index."""
        key = build_pointer_key(build_id)
        await self._write(Update(key=key, remove=(INDEX_PK, INDEX_SK, *_LEASE), condition=exists()))

    async def _write(self, update: Update) -> bool:
        try:
            await self._table.write(update)
        except ConditionFailedError:
            return False
        return True


def _to_active(item: Item) -> ActiveBuild:
    owner, until = rows.optional_text(item, "owner"), rows.optional_time(item, "lease")
    lease = Lease(owner=owner, until=until) if owner is not None and until is not None else None
    return ActiveBuild(
        id=item["PK"].partition("#")[2],
        workspace_id=item["workspace_id"],
        lease=lease,
        has_ended=item[INDEX_SK].startswith(_ENDED),
    )
