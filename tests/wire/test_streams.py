"""Event streams (graphql-sse, distinct connections) and multipart subscriptions."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest
from starlette.types import Message

from schema.transport.results import response_body
from schema.transport.streams import EventStream, StreamResponse
from tests.wire.conftest import Served, eventually

SSE = {"accept": "text/event-stream"}
MULTIPART = {"accept": 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'}


def events_of(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """Events as they come: name and data; comments are skipped."""
    name, data = "", ""
    for line in response.iter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data = line.removeprefix("data:").strip()
        elif not line and name:
            yield name, data
            name, data = "", ""


def parts_of(body: str) -> list[object]:
    """Parts of a whole multipart body, read strictly: nothing before the first delimiter, a closing one last."""
    head, *parts, end = body.split("--graphql")
    assert (head, end) == ("", "--\r\n")
    return [json.loads(part.split("\r\n\r\n", 1)[1]) for part in parts]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_subscription_is_streamed_then_completed(served: Served, http: httpx.Client, method: str) -> None:
    """Results are `next` events; `complete` says that it is the end."""
    query = "subscription{count(to:2)}"
    arguments = {"json": {"query": query}} if method == "POST" else {"params": {"query": query}}
    response = http.request(method, served.url, headers=SSE, **arguments)  # type: ignore[arg-type]  # either kind
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert list(events_of(response)) == [
        ("next", '{"data":{"count":1}}'),
        ("next", '{"data":{"count":2}}'),
        ("complete", ""),
    ]


def test_other_operations_are_one_event(served: Served, http: httpx.Client) -> None:
    """A client that wants events gets them for queries and mutations too."""
    response = http.post(served.url, json={"query": 'mutation{create(input:{name:"x"})}'}, headers=SSE)
    (name, data), last = events_of(response)
    assert (name, json.loads(data)["data"], last) == ("next", {"create": "x"}, ("complete", ""))


def test_subscription_takes_the_stream_that_is_accepted_at_all(served: Served, http: httpx.Client) -> None:
    """JSON comes first in the header, but only a stream can carry a subscription."""
    accept = "application/graphql-response+json, application/json, text/event-stream"
    response = http.post(served.url, json={"query": "subscription{count(to:1)}"}, headers={"accept": accept})
    assert response.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(
    ("query", "results", "code"),
    [
        ("subscription{", 0, "GRAPHQL_PARSE_FAILED"),
        ("subscription{nope}", 0, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription($to:Int!){count(to:$to)}", 0, "VALIDATION_ERROR"),
        ("subscription{conflicts}", 0, "CONFLICT"),
        ("subscription{fails(first:2)}", 2, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_failure_is_the_last_result(
    served: Served, http: httpx.Client, query: str, results: int, code: str
) -> None:
    """The protocol knows no other way to tell of an error."""
    events = list(events_of(http.post(served.url, json={"query": query}, headers=SSE)))
    assert [name for name, _ in events] == ["next"] * (results + 1) + ["complete"]
    [error] = json.loads(events[results][1])["errors"]
    assert error["extensions"]["code"] == code
    assert "hunter2" not in str(events)


@pytest.mark.parametrize("headers", [SSE, MULTIPART])
def test_failure_that_may_pass_is_no_end(served: Served, http: httpx.Client, headers: dict[str, str]) -> None:
    """The last result says what it was; what tells of the end is missing, so that clients connect again."""
    text = http.post(served.url, json={"query": "subscription{breaks}"}, headers=headers).text
    assert '"code":"LOKI_CONNECTION_ERROR","retryable":true' in text
    assert "complete" not in text
    assert not text.endswith("--\r\n")


def test_query_that_failed_for_a_while_is_complete(served: Served, http: httpx.Client) -> None:
    """Only subscriptions are taken up again: nobody may repeat a mutation unasked."""
    response = http.post(served.url, json={"query": "{slow}"}, headers=SSE)
    (_, data), last = events_of(response)
    assert json.loads(data)["errors"][0]["extensions"]["retryable"] is True
    assert last == ("complete", "")


def test_malformed_request_is_json_for_stream_clients(served: Served, http: httpx.Client) -> None:
    """Before there is an operation there is nothing to stream."""
    response = http.post(served.url, content=b"{", headers=SSE | {"content-type": "application/json"})
    assert (response.status_code, response.headers["content-type"]) == (400, "application/json")
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("headers", [SSE, MULTIPART])
def test_client_that_leaves_ends_the_subscription(
    served: Served, http: httpx.Client, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The generator is closed as soon as the connection is, also when it has nothing to send."""
    with caplog.at_level(logging.ERROR):
        for query in ("subscription{silent}", "subscription{count(to:1000000)}"):
            with http.stream("POST", served.url, json={"query": query}, headers=headers) as response:
                lines = response.iter_lines()
                while "data" not in next(lines):
                    pass
                assert served.seen.active == 1
            eventually(lambda: served.seen.active == 0)
    assert caplog.records == []


def test_operations_of_streams_have_contexts_of_their_own(served: Served, http: httpx.Client) -> None:
    """The same row is read again by each operation, and for each event."""
    for _ in range(2):
        http.post(served.url, json={"query": "{row(key:5)}"}, headers=SSE)
    http.post(served.url, json={"query": "subscription{rows(key:6)}"}, headers=SSE)
    assert served.seen.reads == [5, 5, 6, 6]


def test_multipart_subscription_is_streamed_in_parts(served: Served, http: httpx.Client) -> None:
    """Parts carry results as `payload`; a strict reader loses none."""
    response = http.post(served.url, json={"query": "subscription{count(to:2)}"}, headers=MULTIPART)
    assert response.headers["content-type"].startswith("multipart/mixed;boundary=graphql;subscriptionSpec=1.0")
    assert parts_of(response.text) == [{"payload": {"data": {"count": 1}}}, {"payload": {"data": {"count": 2}}}]


def test_query_of_a_multipart_client_is_plain_json(served: Served, http: httpx.Client) -> None:
    """The multipart protocol is for subscriptions."""
    response = http.post(served.url, json={"query": "{hello}"}, headers=MULTIPART)
    assert (response.headers["content-type"], response.json()["data"]) == (
        "application/json",
        {"hello": "hello world"},
    )


async def test_silent_stream_is_kept_alive_until_the_drain() -> None:
    """Comments keep proxies from cutting a stream with nothing to send; the drain ends it and its generator."""
    draining = asyncio.Event()
    closed = asyncio.Event()
    sent: list[Message] = []

    async def results() -> AsyncGenerator[object, None]:
        try:
            await asyncio.sleep(600)
            yield None
        finally:
            closed.set()

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 4:
            draining.set()

    async def receive() -> Message:
        await asyncio.sleep(600)
        return {"type": "http.disconnect"}

    stream = EventStream(heartbeat_interval=0.01)
    response = StreamResponse(results(), stream, format_result=response_body, draining=draining)
    await response({"type": "http"}, receive, send)
    assert [message.get("body") for message in sent[1:4]] == [
        b": open\n\n",
        b": ping\n\n",
        b": ping\n\n",
    ]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert closed.is_set()
