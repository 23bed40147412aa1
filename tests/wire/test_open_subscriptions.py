"""How many subscriptions a process carries."""

import asyncio

import httpx

from tests.wire.app import make_app, make_test_schema
from tests.wire.conftest import Served, eventually, serve
from tests.wire.seen import Watched
from tests.wire.sockets import opened, receive, subscribe, until_done

NOTES = 'subscription{notes(topic:"t"){text}}'
REFUSAL = {
    "message": "This gateway has 2 subscriptions open, as many as it may: try again.",
    "extensions": {"code": "BAD_REQUEST", "retryable": True},
}


def test_followers_are_subscriptions_of_the_process() -> None:
    """Those who share count each, until they leave."""
    seen, draining = Watched(), asyncio.Event()
    seen.topics["t"].publish("one")
    schema = make_test_schema(max_subscriptions=2)
    for url in serve(make_app(seen, draining, schema=schema), draining):
        with opened(Served(url, seen)) as client:
            for id_ in ("1", "2"):
                subscribe(client, NOTES, id_)
                receive(client)
            subscribe(client, NOTES, "3")
            assert until_done(client) == [{"id": "3", "type": "error", "payload": [REFUSAL]}]
            client.send('{"type":"complete","id":"1"}')
            subscribe(client, NOTES, "4")
            assert receive(client)["payload"]["data"] == {"notes": {"text": "one"}}


def test_subscriptions_of_a_process_are_limited() -> None:
    """All sockets and streams count together; what ends makes room, and queries need none."""
    seen, draining = Watched(), asyncio.Event()
    schema = make_test_schema(max_subscriptions=2)
    for url in serve(make_app(seen, draining, schema=schema), draining):
        with opened(Served(url, seen)) as first, opened(Served(url, seen)) as second:
            for socket in (first, second):
                subscribe(socket, "subscription{silent}")
                receive(socket)
            subscribe(second, "subscription{silent}", "2")
            assert until_done(second) == [{"id": "2", "type": "error", "payload": [REFUSAL]}]
            stream = httpx.post(
                url,
                json={"query": "subscription{silent}"},
                headers={"accept": "text/event-stream"},
                trust_env=False,
            )
            assert "This gateway has 2 subscriptions open" in stream.text
            subscribe(second, "{hello}", "3")
            assert until_done(second)[0]["payload"]["data"] == {"hello": "hello world"}
            first.send('{"type":"complete","id":"1"}')
            eventually(lambda: seen.active == 1)
            subscribe(second, "subscription{count(to:1)}", "4")
            assert until_done(second)[0]["payload"]["data"] == {"count": 1}
            assert seen.active == 1
