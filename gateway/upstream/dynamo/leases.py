"""Who carries a build: owner and lease on its pointer row, taken and kept by conditional writes.

A pointer is in the index of unfinished builds until its build ends. What is a passed lease, and what follows from
one, is gateway/builds/lease.py's.
"""

from datetime import datetime
from typing import Any

from gateway.records.builds import ActiveBuild, BuildRecord, Lease
from gateway.upstream.dynamo import rows
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import build_position
from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Update, all_of, any_of, compares, equals, exists, not_exists
from gateway.upstream.dynamo.keys import ACTIVE_BUILDS, INDEX, INDEX_PK, INDEX_SK, build_pointer_key, stamp
from gateway.upstream.dynamo.pointers import Pointers
from gateway.upstream.dynamo.table import Table

_LEASE = ("owner", "lease")


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


def ending(build_id: str, lease: Lease | None) -> Update:
    """The build is finished: it leaves the index. With a lease only its owner may end it, without one anybody."""
    condition = exists() if lease is None else equals("owner", lease.owner)
    return Update(key=build_pointer_key(build_id), remove=(INDEX_PK, INDEX_SK, *_LEASE), condition=condition)


class LeaseTable:
    """Reads and writes leases."""

    def __init__(self, table: Table, pointers: Pointers) -> None:
        self._table = table
        self._pointers = pointers

    async def list_active(self) -> list[ActiveBuild]:
        """All builds that are not finished, oldest first; the index may lag by a second."""
        wanted = ("PK", "workspace_id", *_LEASE)
        pointers = self._table.query_all(equals(INDEX_PK, ACTIVE_BUILDS), index=INDEX, attributes=wanted)
        found = [active async for item in pointers if (active := rows.read_row(item, _to_active)) is not None]
        for active in found:
            self._pointers.remember(active.id, active.workspace_id)
        return found

    async def take(self, build_id: str, lease: Lease, *, passed_before: datetime) -> bool:
        """Take an unfinished build that nobody has, or whose lease ended before that; False where it is not so."""
        free = any_of(not_exists("owner"), not_exists("lease"), compares("lease", "<", stamp(passed_before)))
        changes = {"owner": lease.owner, "lease": stamp(lease.until)}
        condition = all_of(exists(INDEX_PK), free)
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
        await self._write(ending(build_id, None))

    async def _write(self, update: Update) -> bool:
        try:
            await self._table.write(update)
        except ConditionFailedError:
            return False
        return True


def _to_active(item: Item) -> ActiveBuild:
    owner, until = rows.optional_text(item, "owner"), rows.optional_time(item, "lease")
    lease = Lease(owner=owner, until=until) if owner is not None and until is not None else None
    return ActiveBuild(id=item["PK"].partition("#")[2], workspace_id=item["workspace_id"], lease=lease)
