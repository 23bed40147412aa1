"""Builds that were sent by a process that did not store the builder's answer: their task is found, or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.builds.handover import find_task
from gateway.records.builder import BuilderTask
from gateway.records.builds import BuildRecord, BuildStatus
from tests.builds.samples import START, a_build
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage
from tests.builds.test_handover import TASK, a_row, left, listed, taken_over

OTHER_TASK = "99999999-2222-4333-8444-555555555555"
ME = a_build(app_name="shop", sent_by="me", created_at=START)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_carry_when_the_builder_accepted_it_unheard(stage: Stage, script: ScriptedBuilder) -> None:
    """Its task is found in the builder's list, which has our own rows and older tasks too: none is made again."""
    build_id = await left(stage, sent=True)
    hour_ago = START - timedelta(hours=1)
    script.listed = listed(a_row(build_id), a_row(OTHER_TASK, hour_ago), a_row(TASK), {"task_id": "x"})
    script.says("completed", task_id=TASK)
    after = await taken_over(stage)
    await after.rounds(2)
    done = await stage.build(build_id)
    assert (done.builder_task_id, done.status) == (TASK, BuildStatus.DONE)
    assert script.forms == []


async def test_carry_when_the_task_comes_late(stage: Stage, script: ScriptedBuilder) -> None:
    """The builder may take as long to store it as a caller would have waited for its answer."""
    build_id = await left(stage, sent=True)
    after = await taken_over(stage)
    await after.rounds(9)
    assert (await stage.build(build_id)).status is BuildStatus.PENDING
    script.listed = listed(a_row(TASK))
    await after.round()
    assert (await stage.build(build_id)).builder_task_id == TASK


async def test_carry_when_there_is_no_task(stage: Stage, script: ScriptedBuilder) -> None:
    """After a minute the build fails: it is not sent again, since nobody knows what becomes of the first."""
    build_id = await left(stage, sent=True)
    after = await taken_over(stage)
    script.listed = (503, "busy")
    await after.rounds(1, seconds=120)
    assert (await stage.build(build_id)).status is BuildStatus.PENDING, "a builder that is down says nothing"
    script.listed = listed()
    await after.rounds(12)
    failed = await stage.build(build_id)
    assert failed.status is BuildStatus.FAILED
    assert failed.error == (
        "was never accepted by the builder: the gateway stopped while it handed it over, and no task there is "
        "surely this build's. Start it again."
    )
    assert script.forms == []


@contextmanager
def counted_queries(stage: Stage) -> Iterator[list[str]]:
    """The Queries within the block."""
    events, seen = stage.aws.dynamodb.meta.events, []

    def count(event_name: str, **_: object) -> None:
        seen.append(event_name)

    events.register("before-send.dynamodb.Query", count)
    try:
        yield seen
    finally:
        events.unregister("before-send.dynamodb.Query", count)


async def test_carry_when_no_task_can_be_its(stage: Stage, script: ScriptedBuilder) -> None:
    """The builds of the workspace, of which there may be many, are read once there is a task to choose."""
    build_id = await left(stage, sent=True)
    script.listed = listed(a_row(OTHER_TASK, START - timedelta(hours=1)), a_row(OTHER_TASK, app_name="other"))
    after = await taken_over(stage)
    with counted_queries(stage) as queries:
        await after.rounds(1)
        assert queries == []
        script.listed = listed(a_row(TASK))
        await after.rounds(1)
    assert len(queries) == 1
    assert (await stage.build(build_id)).builder_task_id == TASK


def a_task(**changes: Any) -> BuilderTask:
    """A task that can be ME's."""
    task = BuilderTask(task_id=TASK, status=BuildStatus.BUILDING, app_name="shop", created_at=START)
    return replace(task, **changes)


@pytest.mark.parametrize(
    ("tasks", "others"),
    [
        ([], []),
        ([a_task(task_id="V1StGXR8Z5jdHi6BmyT4xx")], []),
        ([a_task(app_name="shop2")], []),
        ([a_task(app_name=None)], []),
        ([a_task(created_at=START - timedelta(seconds=6))], []),
        ([a_task(created_at=None)], []),
        ([a_task(image_url="r.example/app:task-of-another")], []),
        ([a_task()], [a_build(app_name="other", builder_task_id=TASK)]),
        ([a_task(), a_task(task_id=OTHER_TASK)], []),
        ([a_task()], [a_build(app_name="Shop", sent_by="it")]),
        ([a_task()], [a_build(app_name="shop", sent_by="it", status=BuildStatus.CANCELLED)]),
    ],
)
async def test_find_task_when_none_is_surely_its(tasks: list[BuilderTask], others: list[BuildRecord]) -> None:
    """No id of the builder's, another app, too old, of another build by tag or claim, or not the only choice."""
    assert find_task(ME, tasks, [ME, *others]) is None


@pytest.mark.parametrize(
    ("task", "others"),
    [
        (a_task(app_name="SHOP", created_at=START - timedelta(seconds=5)), []),
        (a_task(image_url=f"r.example/app:task-{ME.id}", status=BuildStatus.DONE), []),
        (a_task(image_url="r.example/app:v1"), []),
        (a_task(), [a_build(app_name="shop", builder_task_id=OTHER_TASK)]),
        (a_task(), [a_build(app_name="other", sent_by="it")]),
        (a_task(), [a_build(app_name="shop", sent_by="it", created_at=START - timedelta(minutes=10))]),
    ],
)
async def test_find_task_when_one_is(task: BuilderTask, others: list[BuildRecord]) -> None:
    """The builder cleans names up, and its clock differs; builds with a task or long over are no rivals."""
    assert find_task(ME, [task], [ME, *others]) is task
