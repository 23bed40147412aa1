"""Invoking functions through the API; the functions here are a server of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.gateway import UPDATE_FUNCTION, Gateway, running_gateway
from tests.observability import serving

INVOKE = """mutation ($input: InvokeFunctionInput!) {
  invokeFunction(input: $input) {
    executionLog { id status statusCode level requestBody responseBody logs functionId function { name } }
  }
}"""
FIGURES = """query ($id: ID!) {
  function(id: $id) {
    invocations24h errors24h errorRate lastModified
    invocationHistory(hours: 2) { invocations errors }
    executionLogs { nodes { id requestBody responseBody } }
    workspace { invocations24h errors24h executionLogs { nodes { id } } }
  }
}"""


async def echo(request: Request) -> Response:
    """Answer what was asked."""
    body = await request.body()
    query = f"?{request.url.query}" if request.url.query else ""
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path + query,
            "body": body.decode(),
            "host": request.headers["host"],
        }
    )


async def exact(_request: Request) -> Response:
    """Numbers that no double can hold."""
    return Response(
        '{"big": 123456789012345678901234567890, "f": 1e200, "z": -0.0}', media_type="application/json"
    )


async def slow(_request: Request) -> Response:
    """Later than the function's timeout."""
    await asyncio.sleep(5)
    return PlainTextResponse("late")


ROUTES = [
    Route("/exact", exact, methods=["GET", "POST"]),
    Route("/slow", slow, methods=["GET", "POST"]),
    Route("/text", lambda _: PlainTextResponse("plain"), methods=["GET", "POST"]),
    Route("/binary", lambda _: Response(b"\xff\x00", media_type="image/png"), methods=["GET", "POST"]),
    Route("/large", lambda _: Response(b"x" * 300_000, media_type="text/plain"), methods=["GET", "POST"]),
    Route("/empty", lambda _: Response(status_code=204), methods=["GET", "POST"]),
    Route("/missing", lambda _: PlainTextResponse("no", 404), methods=["GET", "POST"]),
    Route("/broken", lambda _: PlainTextResponse("oh", 500), methods=["GET", "POST"]),
    Route("/moved", lambda _: RedirectResponse("http://127.0.0.1:9/"), methods=["GET", "POST"]),
    Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
]


@dataclass(frozen=True, slots=True)
class Deployed:
    """A gateway with a function whose URL leads to the test's server."""

    gateway: Gateway
    id: str

    async def invoke(self, **values: Any) -> Any:
        """The execution log of an invocation."""
        answer = await self.gateway.data(INVOKE, input={"functionId": self.id, **values})
        return answer["invokeFunction"]["executionLog"]


@pytest.fixture
async def deployed(aws_server: str) -> AsyncIterator[Deployed]:
    """A function that is deployed."""
    async with (
        serving(Starlette(routes=ROUTES)) as url,
        running_gateway(aws_server, invocation_allowed_hosts=("127.0.0.1",)) as gateway,
    ):
        id_ = await gateway.create_function(
            await gateway.create_workspace(), httpMethods=["GET", "POST", "PUT"], timeout=1
        )
        await gateway.data(UPDATE_FUNCTION, input={"id": id_, "invocationUrl": url})
        yield Deployed(gateway, id_)


@pytest.mark.parametrize(
    ("path", "status", "level", "body"),
    [
        ("/text", 200, "INFO", "plain"),
        ("/binary", 200, "INFO", {"base64": "/wA=", "contentType": "image/png"}),
        ("/empty", 204, "INFO", None),
        ("/missing", 404, "WARN", "no"),
        ("/moved", 307, "WARN", None),
        ("/broken", 500, "ERROR", "oh"),
        ("/large", 200, "INFO", {"truncated": True, "bytes": 300_000, "text": "x" * 32_768}),
    ],
)
async def test_invoke_by_answer(deployed: Deployed, path: str, status: int, level: str, body: Any) -> None:
    """Every kind of answer is recorded as what it is."""
    log = await deployed.invoke(path=path)
    assert (log["statusCode"], log["level"], log["responseBody"]) == (status, level, body)
    assert log["status"] == ("SUCCESS" if 200 <= status < 300 else "ERROR")


async def test_invoke_with_method_path_and_body(deployed: Deployed) -> None:
    """Method, path with query and body arrive; POST is the default; the id answered is the id stored."""
    log = await deployed.invoke(method="PUT", path="/a/b?c=%20d", body={"n": 1})
    assert log["responseBody"]["method"] == "PUT"
    assert log["responseBody"]["path"] == "/a/b?c=%20d"
    assert (log["responseBody"]["body"], log["requestBody"]) == ('{"n":1}', {"n": 1})
    assert log["function"]["name"] == "hello"
    assert (await deployed.invoke())["responseBody"]["method"] == "POST"
    stored = (await deployed.gateway.data(FIGURES, id=deployed.id))["function"]
    assert [node["id"] for node in stored["executionLogs"]["nodes"]][1] == log["id"]


async def test_invoke_keeps_every_digit(deployed: Deployed) -> None:
    """Numbers come back as they were sent, in both directions, and from the stored log too."""
    text = '{"query": "%s", "variables": {"input": {"functionId": "%s", "path": "/exact", "body": %s}}}'
    body = "[123456789012345678901234567890123456789012345, 1e200, -0.0]"
    response = await deployed.gateway.client.post(
        "/graphql",
        content=text % (INVOKE.replace("\n", " "), deployed.id, body),
        headers={"content-type": "application/json"},
    )
    assert '"big": 123456789012345678901234567890, "f": 1e200, "z": -0.0' in response.text
    assert "123456789012345678901234567890123456789012345" in response.text
    stored = await deployed.gateway.client.post(
        "/graphql", json={"query": FIGURES, "variables": {"id": deployed.id}}
    )
    assert "123456789012345678901234567890123456789012345" in stored.text
    assert '"big": 123456789012345678901234567890' in stored.text


NUMBERS = "[0.1000000000000000055, 1e200, -0.0, -0, 1E-400, 123456789012345678901234567890123456789012345]"


@pytest.mark.parametrize("as_literal", [True, False])
async def test_invoke_keeps_every_digit_of_what_is_sent(deployed: Deployed, as_literal: bool) -> None:
    """The function gets, and the log has, each number as the caller wrote it, be it in a literal or a variable."""
    deep = "[" * 40 + "]" * 40
    given = f"{{n: {NUMBERS}, d: {deep}, w: $word, e: A}}" if as_literal else "$body"
    variables = (
        f'{{"id": "{deployed.id}", "word": "w", "body": {{"n": {NUMBERS}, "d": {deep}, "w": "w", "e": "A"}}}}'
    )
    query = f"""mutation ($id: ID!, $word: String{"" if as_literal else ", $body: JSON"}) {{
      invokeFunction(input: {{functionId: $id, path: "/echo/", body: {given}}}) {{
        executionLog {{ requestBody responseBody }}
      }}
    }}"""
    if not as_literal:
        query = query.replace("$word: String, ", "")
    request = json.dumps({"query": query, "variables": 0}).replace('"variables": 0', f'"variables": {variables}')
    response = await deployed.gateway.client.post(
        "/graphql", content=request, headers={"content-type": "application/json"}
    )
    sent = f'{{"n":{NUMBERS},"d":{deep},"w":"w","e":"A"}}'.replace(" ", "")
    assert f'"requestBody":{sent}' in response.text
    assert json.dumps(sent) in response.text


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 4_001])
async def test_invoke_when_a_literal_is_beyond_what_is_kept(deployed: Deployed, number: str) -> None:
    """A number that can't be kept is refused, not changed."""
    query = f"""mutation {{
      invokeFunction(input: {{functionId: "{deployed.id}", body: [{number}]}}) {{ executionLog {{ id }} }}
    }}"""
    error = await deployed.gateway.error(query)
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("VALIDATION_ERROR", "body")


async def test_invoke_when_it_is_too_slow(deployed: Deployed) -> None:
    """A function that does not answer in its time is a 504 that is recorded."""
    log = await deployed.invoke(path="/slow")
    assert (log["statusCode"], log["level"], log["status"]) == (504, "ERROR", "ERROR")
    assert log["logs"] == ["The function timed out: no answer within 1 s."]


async def test_invoke_when_nothing_listens(deployed: Deployed) -> None:
    """A function that cannot be reached is a 503 that is recorded."""
    await deployed.gateway.data(UPDATE_FUNCTION, input={"id": deployed.id, "invocationUrl": "127.0.0.1:1"})
    log = await deployed.invoke()
    assert (log["statusCode"], log["level"], log["responseBody"]) == (503, "ERROR", None)
    assert log["logs"][0].startswith("The function could not be reached: ")


async def test_figures_after_many_invocations(deployed: Deployed) -> None:
    """Concurrent invocations are all counted, and do not move lastModified."""
    before = (await deployed.gateway.data(FIGURES, id=deployed.id))["function"]["lastModified"]
    paths = ["/text"] * 9 + ["/broken"] * 3
    await asyncio.gather(*(deployed.invoke(path=path) for path in paths))
    function = (await deployed.gateway.data(FIGURES, id=deployed.id))["function"]
    assert (function["invocations24h"], function["errors24h"], function["errorRate"]) == (12, 3, 25.0)
    assert sum(bucket["invocations"] for bucket in function["invocationHistory"]) == 12
    assert (function["workspace"]["invocations24h"], function["workspace"]["errors24h"]) == (12, 3)
    assert len(function["workspace"]["executionLogs"]["nodes"]) == 12
    assert function["lastModified"] == before


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"method": "DELETE"}, "VALIDATION_ERROR", "method"),
        ({"path": "no-slash"}, "VALIDATION_ERROR", "path"),
        ({"path": "/a b"}, "VALIDATION_ERROR", "path"),
        ({"path": "/a\r\nX: y"}, "VALIDATION_ERROR", "path"),
        ({"functionId": "fn-missing1"}, "NOT_FOUND", "functionId"),
        ({"functionId": 'fn-"}'}, "VALIDATION_ERROR", "functionId"),
    ],
)
async def test_invoke_when_the_input_is_bad(
    deployed: Deployed, values: dict[str, Any], code: str, field: str
) -> None:
    """A call that can't be made is an error and records nothing."""
    error = await deployed.gateway.error(INVOKE, input={"functionId": deployed.id, **values})
    assert (error["extensions"]["code"], error["extensions"]["field"]) == (code, field)
    assert (await deployed.gateway.data(FIGURES, id=deployed.id))["function"]["invocations24h"] == 0


async def test_invoke_when_not_invocable(deployed: Deployed) -> None:
    """A disabled function is FUNCTION_DISABLED, one without a deploy NOT_DEPLOYED."""
    await deployed.gateway.data(UPDATE_FUNCTION, input={"id": deployed.id, "status": "DISABLED"})
    error = await deployed.gateway.error(INVOKE, input={"functionId": deployed.id})
    assert error["extensions"]["code"] == "FUNCTION_DISABLED"
    new = await deployed.gateway.create_function(await deployed.gateway.create_workspace())
    error = await deployed.gateway.error(INVOKE, input={"functionId": new})
    assert error["extensions"]["code"] == "NOT_DEPLOYED"
