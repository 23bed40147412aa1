"""What functions print reaches Loki line by line, and Loki's absence harms nobody."""

import time

import httpx

from gateway.local.runner.lines import LINE_LIMIT_BYTES, LineSplitter
from gateway.local.runner.logs import QUEUED_BYTES, LokiPush
from tests.local.runner.serving import LogReceiver, Served, serving, until


async def test_printed_lines_arrive_with_their_labels(runner: Served) -> None:
    """Both outputs within half a second, with what the gateway and its users look for."""
    before_ns = time.time_ns()
    await runner.call("hello", "/print?first%0Asecond")
    answered = time.monotonic()
    await until(lambda: len(runner.logs.lines()) == 4)
    assert time.monotonic() - answered < 2  # half a second, and a busy machine
    assert runner.logs.lines("stdout") == ["first", "second"]
    assert runner.logs.lines("stderr") == ["error first", "second"]
    labels = runner.logs.streams[0]["stream"]
    assert labels.pop("pod").startswith("hello-")
    assert labels.pop("stream") in {"stdout", "stderr"}
    assert labels == {"function_id": "fn-hello", "app": "hello", "namespace": "default"}
    times = [int(ns) for entry in runner.logs.streams for ns, _ in entry["values"]]
    assert len(set(times)) == len(times)
    assert before_ns < min(times) <= max(times) < time.time_ns()


async def test_open_line_ends_with_its_request(runner: Served) -> None:
    """Output without an end of line does not run into the next request's."""
    for word in ("one", "two"):
        await runner.call("hello", f"/print?{word}")
    await until(lambda: runner.logs.lines("stderr") == ["error one", "error two"])


async def test_lines_wait_while_loki_is_out(runner: Served) -> None:
    """Invocations go on, and the lines come when it is back."""
    runner.logs.status = 503
    for number in range(20):
        assert (await runner.call("hello", f"/print?{number}")).status_code == 200
    assert runner.logs.lines() == []
    runner.logs.status = 204
    await until(lambda: runner.logs.lines("stdout") == [str(number) for number in range(20)])


async def test_oldest_lines_go_when_too_many_wait() -> None:
    """The memory of an outage is bounded: of 20 MB the last 16 are pushed."""
    receiver = LogReceiver()
    async with serving(receiver.app()) as (url,), httpx.AsyncClient(base_url=url, trust_env=False) as client:
        push = LokiPush(client)
        for number in range(20):
            push.put({"stream": "stdout"}, f"{number:02}".ljust(QUEUED_BYTES // 16 - 100))
        assert await push.flush()
    assert [line.strip() for line in receiver.lines()] == [f"{number:02}" for number in range(4, 20)]


async def test_refused_lines_do_not_block_later_ones(runner: Served) -> None:
    """What Loki refuses for good is dropped."""
    runner.logs.status = 400
    await runner.call("hello", "/print?refused")
    received = runner.logs.requests
    await until(lambda: runner.logs.requests > received)
    runner.logs.status = 204
    await runner.call("hello", "/print?taken")
    await until(lambda: runner.logs.lines("stdout") == ["taken"])


async def test_long_line_is_cut(runner: Served) -> None:
    """Loki would refuse it: 256 KB are kept, and the next line is whole."""
    await runner.call("hello", "/long?1000000")
    await runner.call("hello", "/print?next")
    await until(lambda: runner.logs.lines("stdout")[1:] == ["next"])
    assert runner.logs.lines("stdout")[0] == "x" * LINE_LIMIT_BYTES


def test_lines_are_joined_over_pieces() -> None:
    """Lines come whole however they were read, and the open one at the end."""
    splitter = LineSplitter()
    assert splitter.feed(b"a\nb") == ["a"]
    assert splitter.feed("é".encode()[:1]) == []
    assert splitter.feed("é".encode()[1:] + b"\r\n\nc") == ["bé", ""]
    assert splitter.end() == ["c"]
    assert splitter.end() == []


def test_line_of_broken_text_is_within_the_limit() -> None:
    """Replacing what is not UTF-8 makes a line longer; it is cut again."""
    (line,) = LineSplitter().feed(b"\xff" * LINE_LIMIT_BYTES + b"\n")
    assert line == "\ufffd" * (LINE_LIMIT_BYTES // 3)
