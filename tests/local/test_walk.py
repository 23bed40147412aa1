"""The whole platform, walked through as a user would: once with WebAssembly, otherwise with Python processes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.test_platform import Platform
from tests.local.walk import GREETER, Walker, eventually

STATUSES = ["PENDING", "BUILDING", "PUSHING", "DEPLOYING", "DONE"]
OBSERVE = """query ($id: ID!) {
  function(id: $id) {
    status invocations24h hasUndeployedChanges
    logs { nodes { line } }
    metrics(window: 300) { cpu { current points { value } } replicas { current } }
    executionLogs { nodes { id statusCode } }
    deployments { nodes { isCurrent imageUrl } }
  }
}"""
HEAD = "from spin_sdk import http\nfrom spin_sdk.http import Request, Response\n"
HANDLER = """
class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        {body}
"""
FINE = 'return Response(200, {}, b"fine")'


NO_PROGRAMS = str(Path(sys.executable).parent)
"""A PATH without a Prometheus or Loki that the machine may have: the stand-ins are what is tested here."""


@pytest.fixture(scope="module")
def python_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A platform whose functions are Python processes, with steps of 8 s at the most; its URL.

    Its folder is given as a relative path, as the default is.
    """
    arguments = ("--port", "0", "--runner", "python", "--empty", "--step-timeout-s", "8")
    platform = Platform(Path(".blue"), *arguments, path=NO_PROGRAMS, cwd=tmp_path_factory.mktemp("platform"))
    try:
        yield platform.await_url()
    finally:
        platform.close()


async def walk(walker: Walker) -> None:
    """Everything from the source to what is seen of its invocations."""
    function_id = await walker.create_function(
        GREETER, environmentVariables=[{"name": "GREETING", "value": "Hello"}]
    )
    events = await walker.deploy(function_id)
    assert [event["status"] for event in events] == STATUSES
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5]
    last = events[-1]["build"]
    assert (last["isFinished"], last["error"], last["deployment"]) == (True, None, {"isCurrent": True})
    assert [step["status"] for step in last["steps"]] == STATUSES
    assert last["function"]["status"] == "ACTIVE"

    log = await walker.invoke(function_id, path="/a?b=c")
    assert (log["statusCode"], log["status"], log["responseBody"]) == (200, "SUCCESS", "Hello, Blue!")

    async def observe() -> Any:
        return (await walker.data(OBSERVE, id=function_id))["function"]

    def printed(function: Any) -> bool:
        return "called POST /a?b=c" in [line["line"] for line in function["logs"]["nodes"]]

    seen = await eventually(observe, printed, within_s=5)
    assert (seen["invocations24h"], seen["hasUndeployedChanges"], seen["status"]) == (1, False, "ACTIVE")
    assert seen["executionLogs"]["nodes"] == [{"id": log["id"], "statusCode": 200}]
    assert [node["isCurrent"] for node in seen["deployments"]["nodes"]] == [True]

    def measured(function: Any) -> bool:
        return len(function["metrics"]["cpu"]["points"]) > 0

    seen = await eventually(observe, measured, within_s=20)
    assert seen["metrics"]["replicas"]["current"] == 1


async def test_walk_with_python_processes(python_platform: str) -> None:
    """From the source to its logs and metrics, with functions in Python processes."""
    await walk(Walker(python_platform))


async def test_walk_with_webassembly(tmp_path: Path) -> None:
    """The same with a real component; after kill -9 everything is still there, and the function answers."""
    arguments = ("--port", "0", "--empty", "--step-timeout-s", "300")
    platform = Platform(Path(".blue"), *arguments, path=NO_PROGRAMS, cwd=tmp_path)
    try:
        walker = Walker(platform.await_url())
        await walk(walker)
    finally:
        os.kill(platform.process.pid, signal.SIGKILL)
        platform.close()
    platform = Platform(Path(".blue"), *arguments, path=NO_PROGRAMS, cwd=tmp_path)
    try:
        walker = Walker(platform.await_url())
        found = await walker.data(
            "{ workspaces(first: 2) { nodes { functions(first: 2) { nodes { id executionLogs { nodes { id } } "
            "logs { nodes { line } } deployments { nodes { isCurrent } } latestBuild { status } } } } } }"
        )
        (workspace,) = found["workspaces"]["nodes"]
        (function,) = workspace["functions"]["nodes"]
        assert len(function["executionLogs"]["nodes"]) == 1
        assert [line["line"] for line in function["logs"]["nodes"]] == ["called POST /a?b=c"]
        assert (function["deployments"]["nodes"], function["latestBuild"]["status"]) == (
            [{"isCurrent": True}],
            "DONE",
        )
        log = await walker.invoke(function["id"])
        assert (log["statusCode"], log["responseBody"]) == (200, "Hello, Blue!")
    finally:
        platform.close()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (HEAD + "def broken(:\n", ["app.py:3:13: error: Expected a parameter"]),
        (HEAD + "class Handler:\n    pass\n", ["IncomingHandler", "class IncomingHandler(http.IncomingHandler)"]),
        (HEAD + HANDLER.format(body="return 5"), ["Incompatible return value type"]),
        (HEAD + HANDLER.format(body=FINE) + "\nwhile True:\n    pass\n", ["8 s"]),
    ],
    ids=["syntax error", "no handler", "type error", "endless import"],
)
async def test_deploy_when_the_source_is_wrong(python_platform: str, source: str, words: list[str]) -> None:
    """A source that can't be built is FAILED with the builder's words, and the function never ran."""
    walker = Walker(python_platform)
    function_id = await walker.create_function(source)
    events = await walker.deploy(function_id, within_s=60)
    build = events[-1]["build"]
    assert events[-1]["status"] == "FAILED"
    assert [word for word in words if word not in build["error"]] == [], build["error"]
    assert "/tmp/" not in build["error"]
    assert build["function"] == {"status": "FAILED", "invocationUrl": None}


@pytest.mark.parametrize(
    ("body", "status_code", "line"),
    [
        ('raise ValueError("no luck")', 500, "ValueError: no luck"),
        ("import time; time.sleep(60); return Response(200, {}, b'')", 504, None),
        ("big = bytearray(512 * 1024 * 1024); return Response(200, {}, bytes(big[:1]))", 500, "MemoryError"),
    ],
    ids=["raises", "sleeps", "allocates"],
)
async def test_invoke_when_the_function_fails(
    python_platform: str, body: str, status_code: int, line: str | None
) -> None:
    """What goes wrong in a function is recorded as what it is, and the next invocation is served."""
    walker = Walker(python_platform)
    guarded = f'if request.uri != "/": return Response(200, {{}}, b"fine")\n        {body}'
    function_id = await walker.create_function(HEAD + HANDLER.format(body=guarded), timeout=2, memory=128)
    events = await walker.deploy(function_id)
    assert events[-1]["status"] == "DONE", events[-1]["build"]["error"]
    log = await walker.invoke(function_id)
    assert (log["statusCode"], log["status"]) == (status_code, "ERROR")
    assert (await walker.invoke(function_id, path="/fine"))["responseBody"] == "fine"
    if line is not None:

        async def lines() -> list[str]:
            query = "query ($id: ID!) { function(id: $id) { logs { nodes { line } } } }"
            found = await walker.data(query, id=function_id)
            return [node["line"] for node in found["function"]["logs"]["nodes"]]

        await eventually(lines, lambda found: any(line in each for each in found), within_s=5)
