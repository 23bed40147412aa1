"""Changes of a build, rebuilt from its steps."""

from dataclasses import replace
from datetime import timedelta

from gateway.builds.events import events_after
from gateway.builds.states import enter
from gateway.records.builds import BuildKind, BuildRecord, BuildStatus
from tests.builds.samples import START, a_build


def a_deployed_build() -> BuildRecord:
    """A build that is DONE, a change every second, two of them between two polls."""
    build: BuildRecord | None = a_build(BuildKind.DEPLOY)
    for second, status in enumerate((BuildStatus.BUILDING, BuildStatus.DEPLOYING, BuildStatus.DONE), 1):
        assert build is not None
        build = enter(build, status, START + timedelta(seconds=second))
    assert build is not None
    return replace(build, wasm_path="s3://w", image_url="r/i:t", deployment_id="fn-1-1")


def test_events_after_when_all_are_wanted() -> None:
    """One event for each sequence number, in order, each with the state as it was then."""
    events = list(events_after(a_deployed_build(), 0))
    assert [(event.sequence, event.status.name) for event in events] == [
        (1, "PENDING"),
        (2, "BUILDING"),
        (3, "PUSHING"),
        (4, "DEPLOYING"),
        (5, "DONE"),
    ]
    assert [event.at.second for event in events] == [0, 1, 2, 2, 3]
    assert [len(event.build.steps) for event in events] == [1, 2, 3, 4, 5]
    assert [event.build.sequence for event in events] == [1, 2, 3, 4, 5]


def test_events_after_when_the_build_went_on() -> None:
    """Nothing of what came later shows in an earlier event."""
    pending, _, pushing, deploying, done = (event.build for event in events_after(a_deployed_build(), 0))
    assert (pending.wasm_path, pending.finished_at, pending.deployment_id) == (None, None, None)
    assert (pushing.wasm_path, pushing.image_url) == ("s3://w", None)
    assert (deploying.image_url, deploying.deployment_id, deploying.status.is_final) == ("r/i:t", None, False)
    assert (done.deployment_id, done.finished_at) == ("fn-1-1", START + timedelta(seconds=3))
    assert [step.finished_at is None for step in pushing.steps] == [False, False, True]


def test_events_after_when_some_were_seen() -> None:
    """A client that reconnects gets what it has not seen, without a gap or a repeat."""
    build = a_deployed_build()
    assert [event.sequence for event in events_after(build, 2)] == [3, 4, 5]
    assert list(events_after(build, 5)) == []
    assert list(events_after(build, 9)) == []
