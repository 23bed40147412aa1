"""/invoke/{functionId}/{path} over real sockets: what fails, on either side."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.app import create_app
from tests.observability import wait_until
from tests.web.stage import Hall, Stage, error_of, raw

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_function_that_is_not_there(stage: Stage) -> None:
    """Unknown ids and such that are none are 404."""
    assert error_of(await stage.client.get("/invoke/fn-missing1/")) == (404, "NOT_FOUND")
    assert error_of(await stage.client.get("/invoke/nothing")) == (404, "VALIDATION_ERROR")
    assert error_of(await stage.client.get("/invoke/")) == (404, "VALIDATION_ERROR")


async def test_function_that_can_not_be_called(stage: Stage) -> None:
    """Disabled is 403, never deployed is 409, and neither is recorded."""
    await stage.update(status="DISABLED")
    assert error_of(await stage.client.get(stage.path(""))) == (403, "FUNCTION_DISABLED")
    new = await stage.gateway.create_function(stage.workspace_id)
    assert error_of(await stage.client.get(f"/invoke/{new}/")) == (409, "NOT_DEPLOYED")
    assert (await stage.state())["invocations24h"] == 0


async def test_function_that_is_too_slow(stage: Stage) -> None:
    """504 with the id of the log that says so; the function is told that nobody waits."""
    await stage.update(timeout=1)
    response = await stage.client.get(stage.path("slow"))
    assert error_of(response) == (504, "TIMEOUT")
    log = await stage.log()
    assert response.json()["errors"][0]["extensions"]["details"] == {"executionLogId": log["id"]}
    assert (log["statusCode"], log["logs"]) == (504, ["The function timed out: no answer within 1 s."])
    await asyncio.wait_for(stage.function.left.wait(), 10)


async def test_function_that_does_not_end_its_answer(stage: Stage) -> None:
    """The caller sees that the answer is cut off, the log says why."""
    await stage.update(timeout=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await stage.client.get(stage.path("drip"))
    log = await stage.log()
    assert (log["statusCode"], log["responseBody"]) == (504, "first")
    assert log["logs"] == ["The function answered 200 and timed out: no end within 1 s."]


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ("broken", "The function answered 200 and broke off: "),
        ("impossible", "The function could not be reached: "),
    ],
)
async def test_function_that_breaks_off(stage: Stage, path: str, note: str) -> None:
    """What can't be passed on whole is a 503 in the log, and never looks whole to the caller."""
    try:
        response = await stage.client.get(stage.path(path))
    except httpx.RemoteProtocolError:
        assert path == "broken"
    else:
        assert error_of(response) == (503, "INVOCATION_ERROR")
    log = await stage.log()
    assert (log["statusCode"], log["level"]) == (503, "ERROR")
    assert log["logs"][0].startswith(note)


async def test_function_that_nobody_serves(stage: Stage) -> None:
    """503 where nothing listens."""
    await stage.update(invocationUrl="http://127.0.0.1:1")
    assert error_of(await stage.client.get(stage.path(""))) == (503, "INVOCATION_ERROR")
    assert (await stage.log())["statusCode"] == 503


async def test_function_that_leads_back_here(stage: Stage) -> None:
    """A call that goes round in a circle ends."""
    await stage.update(invocationUrl=f"{stage.url}/invoke/{stage.id}")
    response = await stage.client.get(stage.path(""))
    assert error_of(response) == (508, "INVOCATION_ERROR")
    assert len((await stage.state())["executionLogs"]["nodes"]) == 3


@pytest.mark.parametrize(
    ("path", "read", "expected"),
    [("slow", False, (499, "WARN", "ERROR")), ("endless", True, (200, "INFO", "SUCCESS"))],
)
async def test_caller_that_leaves(stage: Stage, path: str, read: bool, expected: Any) -> None:
    """The function's work ends, and what happened is recorded."""
    host, port = stage.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {stage.path(path)} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    if read:
        await reader.readexactly(1_000)
    else:

        async def is_called() -> bool:
            return bool(stage.function.seen)

        await wait_until(is_called)
    writer.close()
    await writer.wait_closed()
    log = await stage.log()
    await asyncio.wait_for(stage.function.left.wait(), 10)
    assert (log["statusCode"], log["level"], log["status"]) == expected
    assert log["logs"] == ["The call was cut off: the caller left, or the gateway stopped."]


async def test_caller_that_leaves_within_its_body(stage: Stage) -> None:
    """A request that never ends is recorded as far as it came."""
    host, port = stage.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {stage.path('upload')} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npart".encode())
    assert await asyncio.wait_for(stage.function.chunks.get(), 10) == b"part"
    writer.close()
    await writer.wait_closed()
    log = await stage.log()
    assert (log["statusCode"], log["requestBody"]) == (499, "part")
    assert log["logs"] == ["The call was cut off: the caller left before its request had ended."]


async def test_body_that_is_too_long(stage: Stage) -> None:
    """A length beyond the limit is refused at once, a body beyond it in the middle."""
    announced = await raw(stage, f"POST {stage.path('upload')} HTTP/1.1\r\ncontent-length: 67108865".encode())
    assert announced.startswith(b"HTTP/1.1 413 ")
    assert stage.function.seen == []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b"x" * 1024 * 1024

    response = await stage.client.post(stage.path("upload"), content=body())
    assert error_of(response) == (413, "PAYLOAD_TOO_LARGE")
    assert (await stage.log())["statusCode"] == 413


@pytest.mark.parametrize("is_draining", [True, False])
async def test_gateway_that_stops(hall: Hall, is_draining: bool) -> None:
    """When the drain's time is over, a caller still gets an answer; what was cut off is recorded."""
    stage = await hall.stage("GET")
    draining = asyncio.Event()
    app = create_app(hall.gateway.settings, base_url=hall.url, draining=draining)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=hall.url) as client,
    ):
        calling = asyncio.create_task(client.get(stage.path("slow")))

        async def is_called() -> bool:
            return bool(stage.function.seen)

        await wait_until(is_called)
        if is_draining:
            draining.set()
        calling.cancel()
        if is_draining:
            assert error_of(await calling) == (503, "INVOCATION_ERROR")
        else:
            with pytest.raises(asyncio.CancelledError):
                await calling
    assert (await stage.log())["statusCode"] == 499
