"""Functions as components: what they get, what they answer, and what keeps them within their limits."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.local.registry import WASM_MEDIA_TYPE
from tests.local.runner.serving import COMPONENT_IMAGE, Served, served_runner, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def runner(shared_runner: Served) -> Served:
    """The runner of the module, with no logs of the test before."""
    shared_runner.logs.streams.clear()
    return shared_runner


async def test_request_arrives_as_it_was_sent(runner: Served) -> None:
    """Method, path with query and headers reach the function; hop-by-hop headers don't."""
    answer = await runner.call("hello", "/about?a=%20b&c", "PUT", headers={"x-one": "1", "te": "trailers"})
    assert answer.status_code == 200
    seen = answer.json()
    assert (seen["method"], seen["uri"]) == ("PUT", "/about?a=%20b&c")
    assert seen["headers"]["x-one"] == "1"
    assert seen["headers"]["host"] == "hello.default.svc.cluster.local"
    assert "te" not in seen["headers"]
    assert "connection" not in seen["headers"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
async def test_method_reaches_the_function_whatever_it_is(runner: Served, method: str) -> None:
    """Methods of the WIT and others arrive under their own name."""
    answer = await runner.call("hello", "/about", method)
    assert answer.json()["method"] == method


async def test_answer_is_exact(runner: Served) -> None:
    """Status, headers and binary body are the function's, and nothing is added to them."""
    body = bytes(range(256))
    answer = await runner.call("hello", "/echo", "POST", content=body)
    assert answer.status_code == 201
    assert answer.content == body
    assert answer.headers.multi_items() == [
        ("content-type", "application/octet-stream"),
        ("content-length", "256"),
    ]


async def test_answer_keeps_headers_of_one_name(runner: Served) -> None:
    """Two cookies are two headers."""
    answer = await runner.call("hello", "/cookies")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


async def test_head_has_no_body(runner: Served) -> None:
    """HEAD keeps the length the function names, without the content."""
    answer = await runner.call("hello", "/", "HEAD")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "5")


async def test_status_without_a_body_has_none(runner: Served) -> None:
    """204 with a body would break the connection."""
    answer = await runner.call("hello", "/status?204")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(("path", "status"), [("/status?102", 502), ("/status?777", 502), ("/header?a%0Ab", 500)])
async def test_answer_that_is_no_http_is_an_error(runner: Served, path: str, status: int) -> None:
    """A status that ends nothing and a header with a line break can't be passed on."""
    assert (await runner.call("hello", path)).status_code == status
    assert (await runner.call("hello", "/header?fine")).headers["x-value"] == "fine"


async def test_large_bodies_pass_both_ways(runner: Served) -> None:
    """10 MB in and out, byte for byte; converted a byte at a time they would not make the client's time limit."""
    body = bytes(range(250)) * 40_000
    answer = await runner.call("hello", "/echo", "POST", content=body)
    assert answer.content == body


async def test_environment_is_the_functions_own(runner: Served) -> None:
    """The component's variables are there, and none of the machine's."""
    assert (await runner.call("hello", "/environment")).json() == {"COLOUR": "blue"}


async def test_proxy_request_is_routed_by_its_host(runner: Served) -> None:
    """The gateway's form: the whole URL goes to the runner as to a proxy."""
    url = "http://hello.default.svc.cluster.local/about?x=1"
    proxy = str(runner.functions.base_url)
    async with httpx.AsyncClient(proxy=proxy, trust_env=False) as client:
        assert (await client.get(url)).json()["uri"] == "/about?x=1"
        assert (await client.get("http://hello.default.svc.cluster.local")).text == "hello"


async def test_unknown_host_is_503(runner: Served) -> None:
    """Nothing answers at a name that is not deployed."""
    assert (await runner.call("other")).status_code == 503


async def test_exception_is_500_with_its_traceback_in_the_logs(runner: Served) -> None:
    """The author finds the line that raised."""
    answer = await runner.call("hello", "/fail?on-purpose")
    assert (answer.status_code, answer.content) == (500, b"")
    await until(lambda: "ValueError: on-purpose" in runner.logs.lines("stderr"))
    assert any("app.py" in line for line in runner.logs.lines("stderr"))


async def test_memory_over_the_limit_is_500(runner: Served) -> None:
    """Within 128 MB 64 fit and 200 don't; the function is fine afterwards."""
    assert (await runner.call("hello", "/memory?64")).text == str(64 << 20)
    assert (await runner.call("hello", "/memory?200")).status_code == 500
    await until(lambda: "MemoryError" in runner.logs.lines("stderr"))
    assert (await runner.call("hello")).text == "hello"


@pytest.mark.parametrize(("path", "said"), [("/loop", "looping"), ("/sleep?600", "sleeping")])
async def test_execution_ends_when_its_caller_disconnects(runner: Served, path: str, said: str) -> None:
    """Neither code nor a wait goes on: every worker of the function is free again at once."""
    calls = [asyncio.create_task(runner.call("hello", path)) for _ in range(2)]
    await until(lambda: runner.logs.lines("stdout") == [said] * 2)
    for call in calls:
        call.cancel()
    await until(lambda: len([line for line in runner.logs.lines("stderr") if line.startswith("stopped:")]) == 2)
    started = time.monotonic()
    assert (await runner.call("hello")).text == "hello"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("path", ["/loop", "/sleep?600"])
async def test_execution_ends_at_the_limit(tmp_path: Path, images: Path, path: str) -> None:
    """504, whether or not the caller still waits."""
    async with served_runner(tmp_path, registry=images, execution_limit_s=0.5) as served:
        await served.apply("hello", COMPONENT_IMAGE)
        assert (await served.call("hello", path)).status_code == 504
        assert (await served.call("hello")).text == "hello"


async def test_requests_do_not_wait_for_a_sleeping_one(runner: Served) -> None:
    """More workers are started while requests wait: three sleeps take less than one after the other."""
    started = time.monotonic()
    answers = await asyncio.gather(*(runner.call("hello", "/sleep?1.5") for _ in range(3)))
    assert [answer.text for answer in answers] == ["slept"] * 3
    assert time.monotonic() - started < 4


async def test_missing_host_function_is_named(runner: Served) -> None:
    """What this machine has not got fails the request by its name, in the answer and in the logs."""
    answer = await runner.call("hello", "/store")
    expected = "the host function fermyon:spin/key-value@2.0.0 [static]store.open is not available on this machine"
    assert (answer.status_code, answer.text) == (500, expected)
    await until(lambda: expected in runner.logs.lines("stderr"))


async def test_variables_come_from_the_manifest(runner: Served, component: Path) -> None:
    """A variable is expanded from the application's defaults."""
    image = runner.write_image("two", component, WASM_MEDIA_TYPE, variables={"word": "{{ greeting }} there"})
    await runner.apply("variables", image)
    assert (await runner.call("variables", "/variable?word")).text == "hi there"
    assert (await runner.call("variables", "/variable?other")).status_code == 500


async def test_outgoing_request_is_denied_unless_allowed(runner: Served, component: Path) -> None:
    """Only hosts of the component's allowed_outbound_hosts are called, with the body that was written."""
    received = []

    async def answer(request: Request) -> Response:
        received.append((request.method, await request.body(), request.headers["x-from"]))
        return Response("answer", status_code=202, headers={"x-answer": "yes"})

    async with serving(Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])) as (url,):
        assert (await runner.call("hello", f"/send?{url}/x", "POST", content=b"ping")).status_code == 500
        assert received == []
        await until(lambda: any("HttpRequestDenied" in line for line in runner.logs.lines("stderr")))
        image = runner.write_image("two", component, WASM_MEDIA_TYPE, allowed_outbound_hosts=[url])
        await runner.apply("allowed", image)
        allowed = await runner.call("allowed", f"/send?{url}/x", "POST", content=b"ping")
    assert (allowed.status_code, allowed.text, allowed.headers["x-answer"]) == (202, "answer", "yes")
    assert received == [("POST", b"ping", "function")]
