"""A workspace's builds in pages of any size: each build once, whatever rows the Builder Service has of them."""

import uuid
from datetime import timedelta

import pytest

from gateway.records.pages import Page
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.expressions import Put, equals
from gateway.upstream.dynamo.keys import Key, stamp
from tests.builds.samples import START, a_build, a_workspace

WORKSPACE = "ws-1a2b3c4d"
LEASE = START + timedelta(seconds=15)


async def listed_task(dynamo: Dynamo, seconds: float) -> str:
    """A row of the builder's that is in the list, as `migrate` puts it there; its id."""
    task_id, created_at = str(uuid.uuid4()), START + timedelta(seconds=seconds)
    row = Key(f"WS#{WORKSPACE}", f"BUILD#{task_id}").as_item()
    told = {"task_id": task_id, "status": "DONE", "created_at": created_at.replace(tzinfo=None).isoformat()}
    indexed = {"GSI1PK": f"WS#{WORKSPACE}#BUILDS", "GSI1SK": f"{stamp(created_at)}#{task_id}"}
    await dynamo.table.write(Put(item=row | told | indexed))
    return task_id


async def build_with_task(dynamo: Dynamo, seconds: float, *, task_after_s: float) -> str:
    """A build of ours, whose task's row is in the list too, so much later; its id."""
    build = a_build(created_at=START + timedelta(seconds=seconds))
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.builds.accept(build, await listed_task(dynamo, seconds + task_after_s), None)
    return build.id


@pytest.mark.parametrize("first", [1, 2, 3, 7, 100])
async def test_list_of_workspace_when_a_build_and_its_task_are_on_two_pages(dynamo: Dynamo, first: int) -> None:
    """Every page but the last has as many builds as were asked for; a task that is nobody's is a build."""
    await dynamo.workspaces.create(a_workspace(WORKSPACE, START))
    ids = [await build_with_task(dynamo, n, task_after_s=2.5) for n in range(5)]
    ids.append(await listed_task(dynamo, 100))
    ids.append(await build_with_task(dynamo, 200, task_after_s=-300))
    pages: list[Page] = []  # type: ignore[type-arg]  # of builds
    after = None
    while not pages or pages[-1].has_next:
        page = await dynamo.builds.list_of_workspace(WORKSPACE, first=first, after=after)
        pages.append(page)
        after = page.end
    assert [build.id for page in pages for build in page.items] == ids[::-1]
    assert [len(page.items) for page in pages[:-1]] == [first] * (len(pages) - 1)
    assert 0 < len(pages[-1].items) <= first
    assert [page.has_previous for page in pages] == [False] + [True] * (len(pages) - 1)
    assert all(page.end == page.positions[-1] for page in pages), "each ends with its last item"


async def test_list_of_workspace_when_it_goes_on_behind_any_item(dynamo: Dynamo) -> None:
    """The cursor of an item leads to what follows it, wherever the tasks' rows are."""
    await dynamo.workspaces.create(a_workspace(WORKSPACE, START))
    ids = [await build_with_task(dynamo, n, task_after_s=0.5) for n in range(4)][::-1]
    page = await dynamo.builds.list_of_workspace(WORKSPACE, first=10, after=None)
    for place, position in enumerate(page.positions):
        rest = await dynamo.builds.list_of_workspace(WORKSPACE, first=10, after=position)
        assert ([build.id for build in rest.items], rest.has_next) == (ids[place + 1 :], False)


async def test_list_of_workspace_when_the_builder_has_rows_in_it(dynamo: Dynamo) -> None:
    """They cost one more call; where all builds are ours there is none."""
    await dynamo.workspaces.create(a_workspace(WORKSPACE, START))
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    with recording_calls() as calls:
        await dynamo.builds.list_of_workspace(WORKSPACE, first=5, after=None)
    assert [call.operation for call in calls] == ["Query"]
    await build_with_task(dynamo, 1, task_after_s=1)
    with recording_calls() as calls:
        page = await dynamo.builds.list_of_workspace(WORKSPACE, first=5, after=None)
    assert len(page.items) == 2
    assert [call.operation for call in calls] == ["Query", "BatchGetItem"]


async def test_delete_of_workspace_when_tasks_name_their_builds(dynamo: Dynamo) -> None:
    """What they name goes too, where the builder has written no row of its own as well."""
    await dynamo.workspaces.create(a_workspace(WORKSPACE, START))
    build = a_build()
    await dynamo.builds.create(build, lease_until=LEASE)
    await dynamo.builds.accept(build, task_id := str(uuid.uuid4()), None)
    assert [item async for item in dynamo.table.query_all(equals("PK", f"BUILD#{task_id}"))]
    await dynamo.builds.delete_of_workspace(WORKSPACE)
    assert not [item async for item in dynamo.table.query_all(equals("PK", f"BUILD#{task_id}"))]
