"""/invoke/{functionId}/{path} over real sockets: what passes, and how."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.web.stage import Hall, Stage, error_of, raw

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_request_passes_as_it_is(stage: Stage) -> None:
    """Method, path, query, body and headers arrive; credentials for the gateway and hop-by-hop headers do not."""
    target = "a%2Fb/..//c%20d?x=%41&y=a+b&&"
    head = f"GET {stage.path(target)} HTTP/1.1\r\nauthorization: Bearer secret\r\ncookie: a=b\r\nx-hop: no\r\n"
    answer = await raw(
        stage, (head + "x-own: yes\r\nx-forwarded-for: 1.2.3.4\r\nte: trailers\r\nconnection: x-hop").encode()
    )
    told = httpx.Response(200, content=answer.partition(b"\r\n\r\n")[2]).json()
    assert (told["method"], told["target"]) == ("GET", "/a%2Fb/..//c%20d?x=%41&y=a+b&&")
    assert told["headers"] == [
        ["host", stage.function_url.removeprefix("http://")],
        ["connection", "close"],
        ["x-own", "yes"],
        ["cdn-loop", "blue-faas-gateway"],
        ["x-forwarded-prefix", f"/invoke/{stage.id}"],
        ["x-forwarded-for", "1.2.3.4"],
        ["x-forwarded-proto", "http"],
        ["x-forwarded-host", "gateway.example.com"],
    ]


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("", "127.0.0.2"),
        ("1.2.3.4", "1.2.3.4, 127.0.0.2"),
        ("1127.0.0.2", "1127.0.0.2, 127.0.0.2"),
        ("1.2.3.4,127.0.0.2", "1.2.3.4,127.0.0.2"),
        ("127.0.0.2", "127.0.0.2"),
    ],
)
async def test_function_is_told_whose_call_it_is(stage: Stage, sent: str, passed: str) -> None:
    """The caller's own address is last, whatever it says of itself; it is there once."""
    said = f"\r\nx-forwarded-for: {sent}" if sent else ""
    head = f"GET {stage.path('')} HTTP/1.1{said}"
    answer = await raw(stage, head.encode(), client="127.0.0.2")
    told = dict(httpx.Response(200, content=answer.partition(b"\r\n\r\n")[2]).json()["headers"])
    assert told["x-forwarded-for"] == passed


@pytest.mark.parametrize(
    ("rest", "target"),
    [("", "/?"), ("/", "/?"), ("?a=b", "/?a=b"), ("/?", "/?"), ("//", "//?"), ("/%0A", "/%0A?")],
)
async def test_path_at_its_ends(stage: Stage, rest: str, target: str) -> None:
    """The function sees what is behind its id, at least a slash."""
    answer = await raw(stage, f"GET /invoke/{stage.id}{rest} HTTP/1.1".encode())
    assert httpx.Response(200, content=answer.partition(b"\r\n\r\n")[2]).json()["target"] == target


async def test_answer_passes_as_it_is(stage: Stage) -> None:
    """The function's own headers are there, repeated ones and its CORS too; what is unsafe is not."""
    response = await stage.client.get(stage.path("headers"), headers={"origin": "https://a.page"})
    assert (response.status_code, response.text) == (200, "ok")
    assert response.headers.get_list("x-own") == ["1", "2"]
    assert response.headers["access-control-allow-origin"] == "https://its.own"
    assert response.headers.get_list("content-security-policy") == ["default-src 'self'", "sandbox"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert not {"set-cookie", "clear-site-data", "x-hop", "vary"} & set(response.headers)
    assert len(response.headers.get_list("date")) == 1


async def test_call_is_recorded(stage: Stage) -> None:
    """Log and figures are there as soon as the answer has ended."""
    sent = '{"n": 0.1000000000000000055}'
    response = await stage.client.post(stage.path("echo"), content=sent)
    assert response.json()["body"] == sent
    text = (
        await stage.client.post(
            "/graphql",
            json={"query": f'{{ function(id: "{stage.id}") {{ executionLogs {{ nodes {{ requestBody }} }} }} }}'},
        )
    ).text
    assert sent in text
    state = await stage.state()
    assert (state["invocations24h"], state["errors24h"]) == (1, 0)
    (log,) = state["executionLogs"]["nodes"]
    assert (log["statusCode"], log["status"], log["level"], log["logs"]) == (200, "SUCCESS", "INFO", [])
    assert log["responseBody"] == response.json()


async def test_large_bodies_pass_whole(stage: Stage) -> None:
    """10 MB pass both ways; the log has their beginnings and sizes."""
    response = await stage.client.post(stage.path("upload"), content=b"x" * 10_000_000)
    assert response.text == "thanks"
    assert (await stage.log())["requestBody"] == {"truncated": True, "bytes": 10_000_000, "text": "x" * 8_192}
    response = await stage.client.get(stage.path("large"))
    assert response.content == b"y" * 10_000_000
    newest = (await stage.state())["executionLogs"]["nodes"][0]
    assert newest["responseBody"] == {"truncated": True, "bytes": 10_000_000, "text": "y" * 32_768}


async def test_request_is_streamed(stage: Stage) -> None:
    """The function gets the first piece before the caller has the last."""
    last = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(last.wait(), 10)
        yield b"last"

    calling = asyncio.create_task(stage.client.post(stage.path("upload"), content=body()))
    assert await asyncio.wait_for(stage.function.chunks.get(), 10) == b"first"
    last.set()
    assert (await calling).text == "thanks"
    assert (await stage.log())["requestBody"] == "firstlast"


async def test_answer_is_streamed(stage: Stage) -> None:
    """The caller gets the first piece before the function has the last."""
    async with stage.client.stream("GET", stage.path("drip")) as response:
        chunks = response.aiter_raw()
        assert await anext(chunks) == b"first"
        stage.function.go_on.set()
        assert await anext(chunks) == b"last"
    assert (await stage.log())["responseBody"] == "firstlast"


async def test_answer_before_the_body_was_read(stage: Stage) -> None:
    """A refusal arrives as it is, whatever is left of the body."""
    response = await stage.client.post(stage.path("refuse"), content=b"x" * 5_000_000)
    assert (response.status_code, response.text) == (413, "big")
    log = await stage.log()
    assert (log["statusCode"], log["logs"]) == (413, [])


async def test_answer_beside_its_request(stage: Stage) -> None:
    """Each piece comes back before the caller sends the next."""
    host, port = stage.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {stage.path('duplex')} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    async with asyncio.timeout(10):
        for piece in (b"5\r\nfirst\r\n", b"4\r\nlast\r\n", b"0\r\n\r\n"):
            writer.write(piece)
            await reader.readuntil(piece)
    writer.close()
    await writer.wait_closed()
    assert (await stage.log())["requestBody"] == "firstlast"


async def test_method_that_is_not_allowed(stage: Stage) -> None:
    """405 names the methods that are, and nothing is called."""
    response = await stage.client.put(stage.path("echo"))
    assert error_of(response) == (405, "BAD_REQUEST")
    assert response.headers["allow"] == "GET, POST, HEAD"
    response = await stage.client.options(
        stage.path(""), headers={"origin": "https://a", "access-control-request-method": "GET"}
    )
    assert response.status_code == 405
    assert stage.function.seen == []
    assert (await stage.state())["executionLogs"]["nodes"] == []


async def test_head_where_get_is_allowed(stage: Stage) -> None:
    """HEAD has the headers of GET; the function sees a method that it accepts."""
    response = await stage.client.head(stage.path("large"))
    assert (response.status_code, response.headers["content-length"], response.content) == (200, "10000000", b"")
    assert stage.function.seen[0]["method"] == "GET"


async def test_options_where_it_is_allowed(hall: Hall) -> None:
    """A preflight is the function's own business."""
    stage = await hall.stage("OPTIONS")
    preflight = {"origin": "https://a.page", "access-control-request-method": "PUT"}
    response = await stage.client.options(stage.path("headers"), headers=preflight)
    assert response.headers["access-control-allow-origin"] == "https://its.own"
    assert "access-control-allow-methods" not in response.headers
    response = await stage.client.get(stage.path("headers"))
    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS")


async def test_status_without_a_body(stage: Stage) -> None:
    """304 keeps its headers."""
    response = await stage.client.get(stage.path("unchanged"))
    assert (response.status_code, response.headers["etag"], response.content) == (304, "x", b"")
