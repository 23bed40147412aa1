"""Functions in the table."""

import asyncio

import pytest

from gateway.errors import NotFoundError
from gateway.records.functions import FunctionRecord, FunctionStatus, HttpMethod
from gateway.records.workspaces import WorkspaceRecord
from gateway.telemetry import recording_calls
from gateway.upstream.dynamo import Dynamo
from gateway.upstream.dynamo.keys import Key, function_figures_key, function_key, workspace_key
from tests.stores import StoppedClock


async def make_workspace(dynamo: Dynamo, clock: StoppedClock, id_: str = "ws-00000001") -> WorkspaceRecord:
    """A stored workspace."""
    workspace = WorkspaceRecord(id=id_, name="Shop", description="", created_at=clock(), function_count=0)
    await dynamo.workspaces.create(workspace)
    return workspace


def function(id_: str, clock: StoppedClock, name: str = "hello") -> FunctionRecord:
    """A function that is not stored yet."""
    return FunctionRecord(
        id=id_,
        workspace_id="ws-00000001",
        name=name,
        description="says hello",
        runtime="Python 3.12",
        memory=256,
        timeout=30,
        http_methods=(HttpMethod.GET, HttpMethod.POST),
        environment_variables={"NAME": "World"},
        status=FunctionStatus.ACTIVE,
        invocation_url=None,
        created_at=clock(),
        last_modified=clock(),
        last_deployed=None,
        revision=1,
    )


async def test_create_when_the_workspace_exists(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A created function is read back as it was, and is counted."""
    await make_workspace(dynamo, clock)
    created = function("fn-00000001", clock)
    await dynamo.functions.create(created, b"print(1)")
    assert await dynamo.functions.get("fn-00000001") == created
    workspace = await dynamo.workspaces.get("ws-00000001")
    assert workspace is not None
    assert workspace.function_count == 1


async def test_create_when_the_workspace_is_missing(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Nothing at all is written where the workspace is not there."""
    with pytest.raises(NotFoundError) as raised:
        await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")
    assert raised.value.field == "workspaceId"
    assert await dynamo.table.get(function_key("ws-00000001", "fn-00000001")) is None
    assert await dynamo.table.get(workspace_key("ws-00000001")) is None


async def test_create_when_the_workspace_is_being_deleted(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A workspace that is being deleted takes no new functions."""
    await make_workspace(dynamo, clock)
    await dynamo.workspaces.mark_deleting("ws-00000001")
    with pytest.raises(NotFoundError):
        await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")


@pytest.mark.parametrize(("size", "kept"), [(12_288, True), (12_289, False)])
async def test_code_on_the_row_by_size(dynamo: Dynamo, clock: StoppedClock, size: int, kept: bool) -> None:
    """Up to 16 KB of Base64 are kept on the row for the former readers, and no more."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"#" * size)
    item = await dynamo.table.get(function_key("ws-00000001", "fn-00000001"))
    assert item is not None
    assert ("code" in item) is kept


async def test_update_when_the_function_was_deleted(dynamo: Dynamo, clock: StoppedClock) -> None:
    """An update does not bring back what was deleted."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")
    await dynamo.functions.delete("ws-00000001", "fn-00000001")
    with pytest.raises(NotFoundError):
        await dynamo.functions.update("ws-00000001", "fn-00000001", changes={"name": "other"})
    assert await dynamo.table.get(function_key("ws-00000001", "fn-00000001")) is None


async def test_update_of_different_attributes_at_once(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Two updates of different attributes both stay, `name` being a reserved word."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")
    await asyncio.gather(
        dynamo.functions.update("ws-00000001", "fn-00000001", changes={"name": "renamed"}),
        dynamo.functions.update("ws-00000001", "fn-00000001", changes={"memory": 512}, new_revision=True),
    )
    updated = await dynamo.functions.get("fn-00000001")
    assert updated is not None
    assert (updated.name, updated.memory, updated.revision) == ("renamed", 512, 2)


async def test_delete_when_it_exists(dynamo: Dynamo, clock: StoppedClock) -> None:
    """A deleted function leaves neither row nor pointer nor figures, and is counted off; twice is NotFound."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")
    await dynamo.functions.delete("ws-00000001", "fn-00000001")
    keys = [
        function_key("ws-00000001", "fn-00000001"),
        function_figures_key("ws-00000001", "fn-00000001"),
        Key("FN#fn-00000001", "METADATA"),
    ]
    assert await dynamo.table.batch_get(keys) == {}
    workspace = await dynamo.workspaces.get("ws-00000001")
    assert workspace is not None
    assert workspace.function_count == 0
    with pytest.raises(NotFoundError):
        await dynamo.functions.delete("ws-00000001", "fn-00000001")


async def test_list_page_through_all_pages(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Paging gives every function once, by id, and a filtered page is filled as long as there are rows."""
    await make_workspace(dynamo, clock)
    ids = [f"fn-{number:08}" for number in range(7)]
    for number, id_ in enumerate(ids):
        await dynamo.functions.create(function(id_, clock, f"name-{number % 2}"), b"print(1)")
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await dynamo.functions.list_page("ws-00000001", first=3, after=after)
        seen += [each.id for each in page.items]
        if not page.has_next:
            break
        after = page.positions[-1]
    assert seen == ids
    odd = await dynamo.functions.list_page(
        "ws-00000001", first=2, after=None, accept=lambda each: each.name == "name-1"
    )
    assert ([each.id for each in odd.items], odd.has_next) == ([ids[1], ids[3]], True)


async def test_list_page_when_pages_exceed_a_megabyte(dynamo: Dynamo, clock: StoppedClock) -> None:
    """Rows of the former backend with much code fill several 1 MB pages of one Query: none is lost."""
    await make_workspace(dynamo, clock)
    ids = [f"fn-{number:08}" for number in range(6)]
    for id_ in ids:
        await dynamo.functions.create(function(id_, clock), b"print(1)")
        await dynamo.functions.update("ws-00000001", id_, changes={"code": "x" * 300_000})
    with recording_calls() as calls:
        page = await dynamo.functions.list_page("ws-00000001", first=50, after=None)
    assert [each.id for each in page.items] == ids
    assert {call.operation for call in calls} == {"Query"}
    assert len(calls) == 2


async def test_get_when_the_id_is_known(dynamo: Dynamo, clock: StoppedClock) -> None:
    """The pointer is read once; from then on a function is one GetItem."""
    await make_workspace(dynamo, clock)
    await dynamo.functions.create(function("fn-00000001", clock), b"print(1)")
    with recording_calls() as calls:
        await dynamo.functions.get("fn-00000001")
        await dynamo.functions.get("fn-unknown1")
    assert [call.operation for call in calls] == ["GetItem", "BatchGetItem"]
