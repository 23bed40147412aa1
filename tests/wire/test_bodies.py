"""Bodies: their limits, their ends, and the numbers in them."""

import asyncio
import json
import logging
import socket

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from tests.wire.app import MAX_BODY_BYTES, make_app
from tests.wire.conftest import Served, error_of
from tests.wire.seen import Watched

JSON = "application/json"


def test_body_over_the_limit_is_refused_by_its_length(served: Served, http: httpx.Client) -> None:
    """A body that announces its length is refused before it is read."""
    query = json.dumps({"query": "{hello}", "variables": {"x": "y" * MAX_BODY_BYTES}}).encode()
    response = http.post(served.url, content=query, headers={"content-type": JSON})
    message = "The body is longer than the 200000 bytes it may have (MAX_CODE_BYTES bounds it)."
    assert error_of(response) == (413, "PAYLOAD_TOO_LARGE", message)


def test_body_without_length_is_refused_when_the_limit_is_passed(served: Served) -> None:
    """A chunked body is refused in the middle: the answer is there before the body has ended."""
    host, port = httpx.URL(served.url).host, httpx.URL(served.url).port
    with socket.create_connection((host, port or 80), timeout=10) as client:
        client.sendall(b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        client.sendall(b"transfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (10_000, b"x" * 10_000)
        for _ in range(MAX_BODY_BYTES // 10_000 + 1):
            client.sendall(chunk)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"PAYLOAD_TOO_LARGE" in answer


def test_client_that_leaves_within_the_body_is_forgotten(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for an answer, and nothing went wrong."""
    url = httpx.URL(served.url)
    with caplog.at_level(logging.WARNING):
        with socket.create_connection((url.host, url.port or 80), timeout=10) as client:
            client.sendall(b"POST /graphql HTTP/1.1\r\ncontent-type: application/json\r\n")
            client.sendall(b"content-length: 100\r\n\r\n{")
        assert httpx.post(served.url, json={"query": "{hello}"}, trust_env=False).status_code == 200
    assert caplog.records == []


async def test_what_nobody_expected_is_a_masked_500(caplog: pytest.LogCaptureFixture) -> None:
    """A failure outside of GraphQL is JSON with a code and the id that the log has."""

    def broken(_request: Request) -> Response:
        raise RuntimeError("password=hunter2")

    app = make_app(Watched(), asyncio.Event(), with_explorer=broken)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        response = await client.get("/graphql", headers={"accept": "text/html"})
    assert error_of(response) == (500, "INTERNAL_SERVER_ERROR", "Internal server error")
    assert response.json()["errors"][0]["extensions"]["details"]["errorId"] in caplog.text
    assert "hunter2" in caplog.text


def test_body_of_the_limit_is_taken(served: Served, http: httpx.Client) -> None:
    """Exactly as many bytes as allowed are read."""
    empty = json.dumps({"query": "query($v:JSON!){echo(value:$v)}", "variables": {"v": ""}}).encode()
    value = "y" * (MAX_BODY_BYTES - len(empty))
    body = empty.replace(b'""', b'"%s"' % value.encode())
    assert len(body) == MAX_BODY_BYTES
    response = http.post(served.url, content=body, headers={"content-type": JSON})
    assert response.json()["data"] == {"echo": value}


def test_json_values_keep_every_digit(served: Served, http: httpx.Client) -> None:
    """Integers of any size and stored JSON text come out as they went in."""
    number = "123456789012345678901234567890"
    query = '"query($v:JSON!){echo(value:$v) stored}"'
    body = f'{{"query":{query},"variables":{{"v":[{number},-{number},"\\u00e9"]}}}}'
    text = http.post(served.url, content=body.encode(), headers={"content-type": JSON}).text
    assert f'"echo":[{number},-{number},' in text
    assert '"stored":{"exact":1.10000000000000000000000001}' in text
    assert json.loads(text)["data"]["echo"][2] == "é"
