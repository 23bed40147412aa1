"""What follows a build's state: pure transitions, never backwards, never out of a final state.

A phase that passed between two polls is entered all the same, in the same change, with a sequence number of its
own and no duration. Storing a change is journal.py's.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from gateway.builds.messages import explain_failure
from gateway.records.builder import BuilderTask
from gateway.records.builds import BuildKind, BuildRecord, BuildStatus, BuildStepRecord

PHASES = {
    BuildKind.BUILD: (BuildStatus.PENDING, BuildStatus.BUILDING, BuildStatus.DONE),
    BuildKind.PUSH: (BuildStatus.PENDING, BuildStatus.PUSHING, BuildStatus.DONE),
    BuildKind.BUILD_AND_PUSH: (
        BuildStatus.PENDING,
        BuildStatus.BUILDING,
        BuildStatus.PUSHING,
        BuildStatus.DONE,
    ),
    BuildKind.DEPLOY: (
        BuildStatus.PENDING,
        BuildStatus.BUILDING,
        BuildStatus.PUSHING,
        BuildStatus.DEPLOYING,
        BuildStatus.DONE,
    ),
    BuildKind.ROLLBACK: (BuildStatus.DEPLOYING, BuildStatus.DONE),
}
"""The way of each kind of build; from everywhere on it, it may be FAILED or CANCELLED."""

_PUSHING_KINDS = frozenset({BuildKind.PUSH, BuildKind.BUILD_AND_PUSH, BuildKind.DEPLOY})
_MILLISECOND = timedelta(milliseconds=1)


def first_step(kind: BuildKind, now: datetime) -> BuildStepRecord:
    """Where a build of this kind starts, as sequence 1."""
    return BuildStepRecord(status=PHASES[kind][0], started_at=now)


def enter(build: BuildRecord, status: BuildStatus, now: datetime, **changes: Any) -> BuildRecord | None:
    """The build after it entered `status` and every phase on the way there; None where that is not ahead of it.

    `changes` are other fields that the same change sets.
    """
    if build.status.is_final:
        return None
    path = _path(build, status)
    if not path:
        return None
    *steps, current = build.steps
    duration_ms = max((now - current.started_at) / _MILLISECOND, 0.0)
    steps.append(replace(current, finished_at=now, duration_ms=duration_ms))
    steps += [BuildStepRecord(status=phase, started_at=now, finished_at=now) for phase in path[:-1]]
    steps.append(BuildStepRecord(status=status, started_at=now, finished_at=now if status.is_final else None))
    return replace(
        build,
        status=status,
        sequence=build.sequence + len(path),
        steps=tuple(steps),
        updated_at=now,
        finished_at=now if status.is_final else None,
        **changes,
    )


def fail(build: BuildRecord, error: str, now: datetime) -> BuildRecord | None:
    """The build ended with an error; None where it has ended already."""
    return enter(build, BuildStatus.FAILED, now, error=error)


def observe(
    build: BuildRecord, task: BuilderTask, now: datetime, *, secret: str | None = ""
) -> BuildRecord | None:
    """The build after the builder's task was seen in this state; None where that is nothing new.

    `secret` is explain_failure's.
    """
    wasm_path = task.wasm_path or build.wasm_path
    image_url = task.image_url or build.image_url
    if task.status in {BuildStatus.FAILED, BuildStatus.CANCELLED}:
        reached = _with_pushing(build, wasm_path, now)
        return enter(
            reached,
            BuildStatus.FAILED,
            now,
            error=explain_failure(task.error, pushing=reached.status is BuildStatus.PUSHING, secret=secret),
            wasm_path=wasm_path,
            image_url=image_url,
        )
    if task.status is BuildStatus.DONE:
        if build.kind in _PUSHING_KINDS:
            image_url = image_url or build.expected_image
        if build.kind is not BuildKind.DEPLOY:
            return enter(build, BuildStatus.DONE, now, wasm_path=wasm_path, image_url=image_url)
        if image_url is None:
            reached = _with_pushing(build, wasm_path, now)
            return fail(reached, "The Builder Service pushed an image without naming it; set REGISTRY_URL.", now)
        return enter(build, BuildStatus.DEPLOYING, now, wasm_path=wasm_path, image_url=image_url)
    return enter(build, _phase(build, task), now, wasm_path=wasm_path)


def merge(answered: BuilderTask, row: BuilderTask | None) -> BuilderTask:
    """What is known of a task from its HTTP answer and from its row: the further of the two.

    Over HTTP `running` stands for building and pushing, and a replica that remembers a task may say it for ever.
    """
    if row is None or answered.status.is_final or _rank(row.status) < _rank(answered.status):
        return answered
    return replace(row, task_id=answered.task_id, wasm_path=row.wasm_path or answered.wasm_path)


def is_overdue(build: BuildRecord, now: datetime, timeout_s: float) -> bool:
    """Whether the build has had its time; a builder that crashed never says so."""
    return (now - build.created_at).total_seconds() >= timeout_s


def _path(build: BuildRecord, status: BuildStatus) -> tuple[BuildStatus, ...]:
    if status in {BuildStatus.FAILED, BuildStatus.CANCELLED}:
        return (status,)
    phases = PHASES[build.kind]
    if status not in phases or build.status not in phases:
        return ()
    return phases[phases.index(build.status) + 1 : phases.index(status) + 1]


def _phase(build: BuildRecord, task: BuilderTask) -> BuildStatus:
    """The build's phase while its task runs: the artifact appears in the moment in which the push begins."""
    if task.status is BuildStatus.PENDING:
        return BuildStatus.PENDING
    if build.kind is BuildKind.PUSH:
        return BuildStatus.PUSHING
    pushing = task.status is not BuildStatus.BUILDING or task.wasm_path is not None
    return BuildStatus.PUSHING if pushing and build.kind in _PUSHING_KINDS else BuildStatus.BUILDING


def _with_pushing(build: BuildRecord, wasm_path: str | None, now: datetime) -> BuildRecord:
    """A failed task with an artifact failed while it pushed, whether or not a poll saw that."""
    if wasm_path is None or build.kind not in _PUSHING_KINDS:
        return build
    return enter(build, BuildStatus.PUSHING, now) or build


def _rank(status: BuildStatus) -> int:
    return 3 if status.is_final else (BuildStatus.PENDING, BuildStatus.BUILDING, BuildStatus.PUSHING).index(status)
