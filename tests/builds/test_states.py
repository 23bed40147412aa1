"""What follows a build's state."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.builds.states import PHASES, enter, fail, is_overdue, merge, observe
from gateway.records.builder import BuilderTask
from gateway.records.builds import BuildKind, BuildRecord, BuildStatus
from tests.builds.samples import START, a_build

LATER = START + timedelta(seconds=7)
PENDING, BUILDING, PUSHING, DEPLOYING, DONE, FAILED, CANCELLED = BuildStatus


def a_task(status: BuildStatus, **more: Any) -> BuilderTask:
    """A task as the builder answers it."""
    return BuilderTask(task_id="task-1", status=status, **more)


def entered(build: BuildRecord | None) -> list[BuildStatus]:
    """The statuses that a build entered."""
    assert build is not None
    return [step.status for step in build.steps]


def test_enter_when_the_next_phase_begins() -> None:
    """The step before ends with its duration, the new one begins, and the sequence grows by one."""
    build = enter(a_build(), BUILDING, LATER)
    assert build is not None
    first, second = build.steps
    assert (first.finished_at, first.duration_ms) == (LATER, 7000.0)
    assert (second.status, second.started_at, second.finished_at, second.duration_ms) == (
        BUILDING,
        LATER,
        None,
        None,
    )
    assert (build.sequence, build.status, build.updated_at, build.finished_at) == (2, BUILDING, LATER, None)


def test_enter_when_phases_passed_between_two_polls() -> None:
    """Each of them has a step and a sequence of its own, and no duration."""
    build = enter(a_build(BuildKind.DEPLOY), DEPLOYING, LATER)
    assert build is not None
    assert build.sequence == 4
    assert entered(build) == [PENDING, BUILDING, PUSHING, DEPLOYING]
    assert [step.duration_ms for step in build.steps] == [7000.0, None, None, None]
    assert [step.finished_at for step in build.steps] == [LATER, LATER, LATER, None]


@pytest.mark.parametrize("kind", list(BuildKind))
def test_enter_when_it_would_go_backwards(kind: BuildKind) -> None:
    """From no phase does any kind of build get to an earlier one, or to its own."""
    build = a_build(kind)
    phases = PHASES[kind]
    for at, phase in enumerate(phases):
        here = replace(build, status=phase)
        assert all(enter(here, earlier, LATER) is None for earlier in phases[: at + 1])


@pytest.mark.parametrize("final", [DONE, FAILED, CANCELLED])
def test_enter_when_the_build_is_final(final: BuildStatus) -> None:
    """Nothing comes after it, another end included."""
    build = enter(a_build(), final, LATER)
    assert build is not None
    assert build.finished_at == LATER
    assert [enter(build, status, LATER) for status in BuildStatus] == [None] * 7


def test_enter_when_the_clock_went_back() -> None:
    """A duration is never negative."""
    build = enter(a_build(), BUILDING, START - timedelta(seconds=2))
    assert build is not None
    assert build.steps[0].duration_ms == 0.0


@pytest.mark.parametrize(
    ("kind", "task", "expected"),
    [
        (BuildKind.BUILD_AND_PUSH, a_task(PENDING), None),
        (BuildKind.BUILD_AND_PUSH, a_task(BUILDING), [PENDING, BUILDING]),
        (BuildKind.BUILD_AND_PUSH, a_task(BUILDING, wasm_path="s3://w"), [PENDING, BUILDING, PUSHING]),
        (BuildKind.BUILD_AND_PUSH, a_task(PUSHING), [PENDING, BUILDING, PUSHING]),
        (BuildKind.BUILD_AND_PUSH, a_task(DONE), [PENDING, BUILDING, PUSHING, DONE]),
        (BuildKind.BUILD, a_task(BUILDING, wasm_path="s3://w"), [PENDING, BUILDING]),
        (BuildKind.BUILD, a_task(DONE), [PENDING, BUILDING, DONE]),
        (BuildKind.PUSH, a_task(BUILDING), [PENDING, PUSHING]),
        (BuildKind.DEPLOY, a_task(DONE, image_url="r/i:t"), [PENDING, BUILDING, PUSHING, DEPLOYING]),
        (BuildKind.BUILD, a_task(FAILED, error="no"), [PENDING, FAILED]),
        (BuildKind.DEPLOY, a_task(FAILED, wasm_path="s3://w"), [PENDING, BUILDING, PUSHING, FAILED]),
    ],
)
def test_observe_when_a_task_was_seen(
    kind: BuildKind, task: BuilderTask, expected: list[BuildStatus] | None
) -> None:
    """The builder's word becomes the phase that it means for this kind of build."""
    build = observe(a_build(kind), task, LATER)
    assert build is None if expected is None else entered(build) == expected


def test_observe_when_the_image_has_no_name() -> None:
    """It is registry and tag as they were asked for; without those a deploy has nothing to go on with."""
    task = a_task(DONE, wasm_path="s3://w")
    named = observe(a_build(BuildKind.DEPLOY, expected_image="r.example/f:task-1"), task, LATER)
    assert named is not None
    assert (named.status, named.image_url, named.wasm_path) == (DEPLOYING, "r.example/f:task-1", "s3://w")
    unnamed = observe(a_build(BuildKind.DEPLOY), task, LATER)
    assert unnamed is not None
    assert unnamed.status is FAILED
    assert unnamed.error == "The Builder Service pushed an image without naming it; set REGISTRY_URL."


def test_observe_when_a_push_failed() -> None:
    """A failed push has both a result and an error: both are kept."""
    build = observe(a_build(), a_task(FAILED, wasm_path="s3://w", error="denied"), LATER)
    assert build is not None
    assert (build.wasm_path, build.image_url) == ("s3://w", None)
    assert build.error is not None
    assert build.error.startswith("denied\nhint: the registry takes the pushes")


def test_merge_when_the_row_knows_more() -> None:
    """The row tells pushing from building, and the end from a replica that says `running` for ever."""
    running = a_task(BUILDING)
    assert merge(running, a_task(PUSHING)).status is PUSHING
    assert merge(running, a_task(DONE, image_url="r/i:t")).image_url == "r/i:t"


def test_merge_when_the_row_lags() -> None:
    """What was answered is not taken back by an older row, nor by none."""
    assert merge(a_task(BUILDING), a_task(PENDING)).status is BUILDING
    assert merge(a_task(BUILDING), None).status is BUILDING
    assert merge(a_task(FAILED, error="no"), a_task(DONE)).status is FAILED


def test_is_overdue_when_its_time_is_up() -> None:
    """At the limit, and not a second before."""
    build = a_build()
    assert not is_overdue(build, START + timedelta(seconds=599), 600)
    assert is_overdue(build, START + timedelta(seconds=600), 600)


def test_fail_when_it_failed_before() -> None:
    """The first reason stands."""
    build = fail(a_build(), "first", LATER)
    assert build is not None
    assert build.error == "first"
    assert fail(build, "second", LATER) is None
