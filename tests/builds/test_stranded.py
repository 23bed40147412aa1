"""Whatever goes wrong at a bad moment, no build is left with a lease that is renewed and nobody who carries it."""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError

from gateway.errors import DynamoDBError
from gateway.records.builds import BuildStatus
from gateway.records.clock import CLOCK_SKEW_S
from gateway.upstream.dynamo.expressions import Delete
from gateway.upstream.dynamo.keys import build_key
from tests.builds.samples import START, a_build, an_upload
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import LEASE_S, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGE = {"image_uri": "r.example/f:1"}


@contextmanager
def before(stage: Stage, operation: str, do: Callable[[str], None]) -> Iterator[None]:
    """Within the block something is done before each request of an operation of DynamoDB, which has its body."""
    events = stage.aws.dynamodb.meta.events

    def call(request: AWSPreparedRequest, **_: object) -> None:
        do(str(request.body))

    events.register(f"before-send.dynamodb.{operation}", call)
    try:
        yield
    finally:
        events.unregister(f"before-send.dynamodb.{operation}", call)


def refuse(_: str) -> None:
    """Do not let it through."""
    raise BotoCoreError


async def orphans(stage: Stage, count: int) -> list[str]:
    """Builds that the builder has, and whose owner is gone."""
    ids = []
    for number in range(count):
        build = a_build(workspace_id=stage.workspace_id)
        await stage.dynamo.builds.create(build, lease_until=START)
        await stage.dynamo.builds.accept(build, f"task-{number}", None)
        ids.append(build.id)
    stage.clock.advance(seconds=LEASE_S)
    return ids


async def statuses(stage: Stage, build_ids: list[str]) -> set[str]:
    """How builds are stored."""
    return {(await stage.build(build_id)).status.name for build_id in build_ids}


async def test_take_over_when_the_builds_cannot_be_read(stage: Stage, script: ScriptedBuilder) -> None:
    """What was taken is read by the next look, and carried."""
    script.says("completed", result=IMAGE)
    ids = await orphans(stage, 3)
    with before(stage, "BatchGetItem", refuse), pytest.raises(DynamoDBError):
        await stage.lookout.look()
    assert (len(stage.leases.held), stage.poller.carried) == (3, 0)
    await stage.lookout.look()
    assert stage.poller.carried == 3
    await stage.round()
    assert await statuses(stage, ids) == {"DONE"}


async def test_take_over_when_one_that_is_over_cannot_be_written(stage: Stage, script: ScriptedBuilder) -> None:
    """It leaves the index with a later look; the others are carried at once."""
    script.says("completed", result=IMAGE)
    ids = await orphans(stage, 3)
    await stage.dynamo.table.write(Delete(key=build_key(stage.workspace_id, ids[1])))

    def refuse_retiring(body: str) -> None:
        if "REMOVE" in body:
            raise BotoCoreError

    with before(stage, "UpdateItem", refuse_retiring), pytest.raises(DynamoDBError):
        await stage.lookout.look()
    assert stage.poller.carried == 2
    stage.clock.advance(seconds=LEASE_S + CLOCK_SKEW_S + 1)
    await stage.lookout.look()
    assert {build.id for build in await stage.dynamo.builds.leases.list_active()} == {ids[0], ids[2]}


async def test_take_over_when_one_lease_breaks_unexpectedly(stage: Stage, script: ScriptedBuilder) -> None:
    """The others that were taken beside it are carried, and it is by the next look."""
    script.says("completed", result=IMAGE)
    ids = await orphans(stage, 3)

    def break_one(body: str) -> None:
        if ids[0] in body:
            raise KeyError("unexpected")

    with before(stage, "UpdateItem", break_one):
        await stage.lookout.look()
    assert stage.poller.carried == 2
    await stage.lookout.look()
    assert stage.poller.carried == 3


class SlowFile(io.BytesIO):
    """A file of which each part takes a while."""

    read_slowly: Callable[[], Any]

    def read(self, size: int | None = -1, /) -> bytes:
        """Let time pass."""
        self.read_slowly()
        return super().read(size)


async def test_start_when_its_lease_passes_meanwhile(stage: Stage, script: ScriptedBuilder) -> None:
    """Nobody else took it: it is handed over from what was stored, once, by the process that started it."""
    script.says("completed", result=IMAGE)
    file = SlowFile(b"print('hello')\n")
    file.read_slowly = lambda: stage.clock.advance(seconds=LEASE_S + 1)
    upload = replace(an_upload(), file=file)
    build = await stage.starts.start_build_and_push(workspace_id=stage.workspace_id, upload=upload)
    assert (build.status, script.forms, stage.poller.carried) == (BuildStatus.PENDING, [], 1)
    await stage.rounds(3)
    assert (await stage.build(build.id)).status is BuildStatus.DONE
    assert len(script.forms) == 1


async def test_start_when_its_caller_leaves_after_the_builder_has_it(
    stage: Stage, script: ScriptedBuilder
) -> None:
    """It goes on: the row is told of the builder's task by the poller."""
    script.says("completed", result=IMAGE)
    starting = asyncio.create_task(
        stage.starts.start_build_and_push(workspace_id=stage.workspace_id, upload=an_upload())
    )

    def leave(body: str) -> None:
        if "task-1" in body and not starting.cancelling():
            starting.cancel()

    with before(stage, "TransactWriteItems", leave), pytest.raises(asyncio.CancelledError):
        await starting
    assert stage.poller.carried == 1
    await stage.rounds(3)
    page = await stage.dynamo.builds.list_of_workspace(stage.workspace_id, first=10, after=None)
    assert [build.status.name for build in page.items] == ["DONE"]
    assert len(script.forms) == 1
