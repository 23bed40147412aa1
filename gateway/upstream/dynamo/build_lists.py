"""Pages of a workspace's builds, each build once: the Builder Service's own row of one of ours is left out.

Such a row is in the list where `migrate` found it before its build had its name. Which task belongs to a build is
handovers.py's.
"""

from gateway.records.builds import BuildRecord
from gateway.records.pages import Page
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.build_rows import build_list, to_build
from gateway.upstream.dynamo.handovers import HandoverTable, is_task_id
from gateway.upstream.dynamo.paging import RowRange, read_page
from gateway.upstream.dynamo.table import Table

MAX_READS = 16
"""Of a page; each but the last met as many of the builder's rows as it asked for builds."""

Listed = tuple[BuildRecord, bool]
"""A build, and whether another wrote its row."""


def _to_listed(item: Item) -> Listed:
    return to_build(item), "sequence" not in item


async def read_builds(
    table: Table, handovers: HandoverTable, workspace_id: str, *, first: int, after: str | None
) -> Page[BuildRecord]:
    """A page of a workspace's builds, newest first; one Query, and one BatchGetItem where the builder has rows."""
    partition = RowRange(partition=build_list(workspace_id), low=" ", high="~", index=True, forward=False)
    kept: list[tuple[BuildRecord, str]] = []
    position, more = after, True
    for _ in range(MAX_READS):
        page = await read_page(table, partition, first=first + 1, after=position, convert=_to_listed)
        kept += await _without_claimed(handovers, page)
        position, more = page.end, page.has_next
        if len(kept) > first or not more:
            break
    taken = kept[:first]
    return Page(
        items=tuple(build for build, _ in taken),
        positions=tuple(at for _, at in taken),
        has_next=more or len(kept) > first,
        has_previous=after is not None,
        reached=position if more and len(kept) <= first else None,
    )


async def _without_claimed(handovers: HandoverTable, page: Page[Listed]) -> list[tuple[BuildRecord, str]]:
    foreign = [build.id for build, is_foreign in page.items if is_foreign and is_task_id(build.id)]
    claimed = await handovers.find_claimed(foreign) | {build.builder_task_id for build, _ in page.items}
    return [
        (build, at) for (build, _), at in zip(page.items, page.positions, strict=True) if build.id not in claimed
    ]
