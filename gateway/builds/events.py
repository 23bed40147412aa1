"""A build's changes as events, rebuilt from its steps: step n is the change to sequence n. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from gateway.records.builds import BuildEventRecord, BuildRecord, BuildStatus

_BEFORE_ARTIFACT = frozenset({BuildStatus.PENDING, BuildStatus.BUILDING})
_BEFORE_IMAGE = _BEFORE_ARTIFACT | {BuildStatus.PUSHING}


def current_event(build: BuildRecord) -> BuildEventRecord:
    """The build as it is now."""
    return BuildEventRecord(sequence=build.sequence, status=build.status, at=build.updated_at, build=build)


def events_after(build: BuildRecord, sequence: int) -> Iterator[BuildEventRecord]:
    """Every change after `sequence`, in order, up to the build as it is now."""
    for past in range(max(sequence, 0) + 1, build.sequence):
        yield _event_at(build, past)
    if sequence < build.sequence:
        yield current_event(build)


def _event_at(build: BuildRecord, sequence: int) -> BuildEventRecord:
    """The build as it was right after an earlier change: what came later is taken off."""
    *earlier, step = build.steps[:sequence]
    entered = replace(step, finished_at=None, duration_ms=None)
    was = replace(
        build,
        status=step.status,
        sequence=sequence,
        steps=(*earlier, entered),
        updated_at=step.started_at,
        finished_at=None,
        error=None,
        deployment_id=None,
        wasm_path=None if step.status in _BEFORE_ARTIFACT else build.wasm_path,
        image_url=None if step.status in _BEFORE_IMAGE else build.image_url,
    )
    return BuildEventRecord(sequence=sequence, status=step.status, at=step.started_at, build=was)
