"""Functions as Python source in CPython: the same answers, and limits by the operating system."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from gateway.local.registry import PYTHON_MEDIA_TYPE
from tests.local.runner.serving import Served, source_tar, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def python_runner(shared_python_runner: Served) -> Served:
    """The runner of the module, with no logs of the test before."""
    shared_python_runner.logs.streams.clear()
    return shared_python_runner


def is_running(process: int) -> bool:
    """Whether there is such a process, be it one that waits to be reaped."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_request_and_answer_are_exact(python_runner: Served) -> None:
    """As in a component: method, path, body, status and repeated headers."""
    seen = (await python_runner.call("hello", "/about?a=1", "PATCH")).json()
    assert (seen["method"], seen["uri"]) == ("PATCH", "/about?a=1")
    body = bytes(range(250)) * 40_000
    answer = await python_runner.call("hello", "/echo", "POST", content=body)
    assert (answer.status_code, answer.content == body) == (201, True)
    assert (await python_runner.call("hello", "/cookies")).headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_environment_is_the_functions_own(python_runner: Served) -> None:
    """Nothing of the machine's environment is seen."""
    assert (await python_runner.call("hello", "/environment")).json() == {"COLOUR": "blue"}


async def test_exception_and_memory_are_500(python_runner: Served) -> None:
    """Both have their traceback in the logs, and the worker goes on."""
    assert (await python_runner.call("hello", "/fail?on-purpose")).status_code == 500
    assert (await python_runner.call("hello", "/memory?400")).status_code == 500
    await until(lambda: {"ValueError: on-purpose", "MemoryError"} <= set(python_runner.logs.lines("stderr")))
    assert (await python_runner.call("hello")).text == "hello"


@pytest.mark.parametrize("path", ["/loop", "/sleep?600"])
async def test_execution_ends_when_its_caller_disconnects(python_runner: Served, path: str) -> None:
    """The process is killed, and the next request has a new one."""
    call = asyncio.create_task(python_runner.call("hello", path))
    await until(lambda: {"looping", "sleeping"} & set(python_runner.logs.lines("stdout")))
    call.cancel()
    started = time.monotonic()
    assert (await python_runner.call("hello")).text == "hello"
    assert time.monotonic() - started < 3


async def test_header_with_a_line_break_is_500(python_runner: Served) -> None:
    """It can't be passed on; the log names it."""
    assert (await python_runner.call("hello", "/header?a%0Ab")).status_code == 500
    await until(lambda: any("is not a header" in line for line in python_runner.logs.lines("stderr")))


async def test_dying_worker_is_502_and_replaced(python_runner: Served) -> None:
    """The request says what happened, so does the log; the next one is served."""
    answer = await python_runner.call("hello", "/kill")
    assert (answer.status_code, answer.text) == (502, "the function's process ended (SIGKILL)\n")
    assert (await python_runner.call("hello")).text == "hello"
    await until(lambda: "the function's process ended (SIGKILL)" in python_runner.logs.lines("stderr"))


async def test_worker_that_died_idle_is_replaced(python_runner: Served) -> None:
    """No request is lost to it."""
    process = int((await python_runner.call("hello", "/process")).text)
    os.kill(process, signal.SIGKILL)
    await until(lambda: not is_running(process))
    answer = await python_runner.call("hello", "/process")
    assert (answer.status_code, answer.text != str(process)) == (200, True)


async def test_source_that_does_not_import_is_refused(python_runner: Served, tmp_path: Path) -> None:
    """The deploy fails with Python's words, and the version before it goes on."""
    layer = source_tar(tmp_path, "import nothing_of_that_name\n")
    image = python_runner.write_image("two", layer, PYTHON_MEDIA_TYPE)
    answer = await python_runner.apply("hello", image)
    assert answer.status_code == 422
    assert "ModuleNotFoundError: No module named 'nothing_of_that_name'" in answer.json()["message"]
    assert (await python_runner.call("hello")).text == "hello"


async def test_module_is_the_one_of_the_build_command(python_runner: Served, tmp_path: Path) -> None:
    """A source that names its module otherwise than `app` is found."""
    layer = source_tar(tmp_path, "from spin_sdk.http import IncomingHandler\n")
    build = {"command": "componentize-py -w spin-http componentize other -o app.wasm"}
    answer = await python_runner.apply(
        "x", python_runner.write_image("two", layer, PYTHON_MEDIA_TYPE, build=build)
    )
    assert "No module named 'other'" in answer.json()["message"]
