"""Subscriptions that many hold: one execution for all who asked for the same, and each gets what is its own."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import cast

import httpx

from schema.context import Context, Resources
from tests.wire.app import make_test_schema
from tests.wire.conftest import Post, Publish, Served
from tests.wire.following import NOTES, next_of, note
from tests.wire.numbers import Note, Topic
from tests.wire.seen import Watched
from tests.wire.sockets import opened, receive, subscribe
from tests.wire.test_streams import SSE, events_of


def test_event_is_executed_once_for_all_who_asked_for_the_same(
    served: Served, topic: str, publish: Publish, end: Callable[..., None]
) -> None:
    """Each gets it under its own id, on connections of their own and on one; the end too."""
    publish("one")
    ids = ("1", 'an "id"', "ключ")
    with opened(served) as first, opened(served) as second:
        places = [(first, ids[0]), (second, ids[1]), (second, ids[2])]
        for client, id_ in places:
            subscribe(client, NOTES, id_, variables={"topic": topic})
            assert next_of(client, id_) == note(1, "one")
        served.seen.reads.clear()
        publish("two")
        assert next_of(first, ids[0]) == note(2, "two")
        got = [receive(second) for _ in range(2)]
        assert {message["id"] for message in got} == set(ids[1:])
        assert [message["payload"] for message in got] == [note(2, "two")] * 2
        assert served.seen.reads == [2]
        end()
        assert receive(first) == {"id": ids[0], "type": "complete"}
        assert {receive(second)["id"] for _ in range(2)} == set(ids[1:])
    assert served.seen.topics[topic].watchers == set()


def test_events_are_read_anew(served: Served, topic: str, publish: Publish) -> None:
    """What was loaded for one event is not used for the next, nor for one who comes later."""
    publish("one")
    with opened(served) as first, opened(served) as second:
        subscribe(first, NOTES, variables={"topic": topic})
        assert next_of(first, "1") == note(1, "one")
        subscribe(second, NOTES, variables={"topic": topic})
        assert next_of(second, "1") == note(1, "one")
        assert served.seen.reads == [1, 1]


def test_operations_that_differ_are_not_mixed(served: Served, topic: str, publish: Publish) -> None:
    """By selection, by variable, by operation of one document, and by topic."""
    publish("one")
    two = (
        "subscription A($topic:String!){notes(topic:$topic){text}} "
        "subscription B($topic:String!){notes(topic:$topic){sequence}}"
    )
    times = "subscription($topic:String!,$n:Int!){notes(topic:$topic){times(factor:$n)}}"
    served.seen.topics["other"].publish("elsewhere")
    asked = {
        "a": (two, "A", {}, {"text": "two"}),
        "b": (two, "B", {}, {"sequence": 2}),
        "c": (times, None, {"n": 5}, {"times": 10}),
        "d": (times, None, {"n": 7}, {"times": 14}),
        "e": ("subscription($topic:String!){notes(topic:$topic){x:text}}", None, {}, {"x": "two"}),
    }
    with opened(served) as client:
        subscribe(client, NOTES, "other", variables={"topic": "other"})
        assert next_of(client, "other") == note(1, "elsewhere")
        for id_, (query, name, variables, _) in asked.items():
            subscribe(client, query, id_, variables={"topic": topic, **variables}, operationName=name)
            next_of(client, id_)
        publish("two")
        got = {message["id"]: message["payload"] for message in (receive(client) for _ in asked)}
    assert got == {id_: {"data": {"notes": expected}} for id_, (*_, expected) in asked.items()}


def test_after_is_each_subscribers_own(served: Served, topic: str, publish: Publish) -> None:
    """Whoever resumes gets what it has not seen, then shares what is new."""
    publish("one", "two")
    with ExitStack() as stack:
        clients = {after: stack.enter_context(opened(served)) for after in (0, 1, 2, None)}
        for after, client in clients.items():
            subscribe(client, NOTES, variables={"topic": topic, "after": after})
        assert [next_of(clients[0], "1"), next_of(clients[0], "1")] == [note(1, "one"), note(2, "two")]
        assert next_of(clients[1], "1") == note(2, "two")
        assert next_of(clients[None], "1") == note(2, "two")
        served.seen.reads.clear()
        publish("three")
        for client in clients.values():
            assert next_of(client, "1") == note(3, "three")
        assert served.seen.reads == [3]


def test_after_that_says_more_is_not_left_out(served: Served, topic: str, publish: Publish) -> None:
    """A variable that is used for something else as well makes another operation."""
    publish("one", "two", "three")
    query = "subscription($topic:String!,$n:Int!){notes(topic:$topic,after:$n){times(factor:$n)}}"
    with opened(served) as client:
        for number in (1, 2):
            subscribe(client, query, str(number), variables={"topic": topic, "n": number})
        got = [receive(client) for _ in range(3)]
    assert sorted((message["id"], message["payload"]["data"]["notes"]["times"]) for message in got) == [
        ("1", 2),
        ("1", 3),
        ("2", 6),
    ]


def test_streams_share_with_sockets(
    served: Served, http: httpx.Client, topic: str, publish: Publish, end: Callable[..., None]
) -> None:
    """An event stream follows the same broadcast."""
    publish("one")
    body = {"query": NOTES, "variables": {"topic": topic}}
    with opened(served) as client, http.stream("POST", served.url, json=body, headers=SSE) as stream:
        events = ((name, data and json.loads(data)) for name, data in events_of(stream))
        assert next(events) == ("next", note(1, "one"))
        subscribe(client, NOTES, variables={"topic": topic})
        assert next_of(client, "1") == note(1, "one")
        served.seen.reads.clear()
        publish("two")
        assert next_of(client, "1") == note(2, "two")
        assert next(events) == ("next", note(2, "two"))
        end()
        assert list(events) == [("complete", "")]
    assert served.seen.reads == [2]


async def test_subscriber_without_a_transport_follows_alone() -> None:
    """Whoever runs the schema by itself iterates: the same events, from the same place."""
    seen = Watched()
    seen.topics["t"] = Topic([Note(1, "one"), Note(2, "two"), Note(3, "three")], ended=True)
    query = 'subscription{notes(topic:"t",after:1){text}}'
    results = await make_test_schema().subscribe(query, context_value=Context(cast("Resources", seen)))
    assert [result.data async for result in results] == [{"notes": {"text": text}} for text in ("two", "three")]


def test_following_takes_no_task(served: Served, post: Post, topic: str, publish: Publish) -> None:
    """A connection has the task of its protocol; its operations have one together."""
    publish("one")
    with ExitStack() as stack:
        before = post("{tasks}")["data"]["tasks"]
        for _ in range(5):
            client = stack.enter_context(opened(served))
            for id_ in map(str, range(10)):
                subscribe(client, NOTES, id_, variables={"topic": topic})
                next_of(client, id_)
        assert post("{tasks}")["data"]["tasks"] - before == 5 + 1
