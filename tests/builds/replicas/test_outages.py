"""Deploys that are started while the builder is away, or takes nothing: real processes, and no build twice."""

import asyncio
import signal
import time
from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.builds.replicas.builder import PacedBuilder
from tests.builds.replicas.platform import Platform

NAMES = ("away", "busy", "throttled", "unheard")


async def test_deploy_when_the_builder_is_away(shared: Platform, builder: PacedBuilder) -> None:
    """They wait, on another replica when theirs is stopped, and are built once each when the builder is back.

    One is refused with 503 at first, one with 429; of one the builder has taken, the answer is lost.
    """
    owner, other = await shared.replicas("owner", "other")
    workspace_id = await owner.create_workspace()
    await builder.stop()
    builds = {name: await owner.deploy(workspace_id, name) for name in NAMES}
    await asyncio.sleep(2)
    assert {(await other.build(build_id))["status"] for build_id in builds.values()} == {"PENDING"}
    owner.served.process.send_signal(signal.SIGTERM)
    signalled = time.monotonic()
    assert await owner.stopped() == 0
    assert time.monotonic() - signalled < 5, "there is nothing to be waited for"
    asked: Counter[str] = Counter()

    async def fault(request: Request) -> Response | None:
        if not request.url.path.endswith("/build-and-push"):
            return None
        async with request.form() as form:
            app = str(form["app_name"])
        name = next(name for name in NAMES if app.startswith(name))
        asked[name] += 1
        if asked[name] > 1 or name == "away":
            return None
        if name == "unheard":
            builder.fault = None
            await builder.answer(request)
            builder.fault = fault
            return PlainTextResponse("Bad Gateway", 502)
        return JSONResponse({"detail": "later"}, 503 if name == "busy" else 429)

    builder.fault = fault
    await builder.start()
    for name in NAMES:
        done = await other.until(builds[name], "DONE", "FAILED", seconds=20)
        assert (done["status"], done["sequence"]) == ("DONE", 5), (name, done["error"])
    assert asked == {"away": 1, "busy": 2, "throttled": 2, "unheard": 1}
    assert sorted(name for app in builder.uploads for name in NAMES if app.startswith(name)) == sorted(NAMES)
    assert len(builder.deploys) == len(NAMES)


async def test_deploy_when_the_builder_stays_away(shared: Platform, builder: PacedBuilder) -> None:
    """The build fails when its time is up, and says what was wrong, however late the last try was."""
    replica = await shared.replica("replica", told={"BUILD_TIMEOUT_S": "3", "BUILD_POLL_INTERVAL_S": "5"})
    workspace_id = await replica.create_workspace()
    await builder.stop()
    failed = await replica.until(await replica.deploy(workspace_id, "hello"), "FAILED")
    await builder.start()
    assert failed["error"].startswith("timed out after 3 seconds: The Builder Service did not answer POST ")
    assert failed["function"]["status"] == "FAILED"
