"""Subscribers of one broadcast that do not read, leave or fail: the others notice nothing."""

import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import cast

import pytest

from schema.context import Context, Resources
from schema.subscriptions import NumberedEvents, Subscription
from schema.transport.broadcasts import Broadcast, Follower
from schema.transport.results import EncodedResult
from tests.builds.samples import eventually as eventually_async
from tests.wire.app import make_test_schema
from tests.wire.conftest import Publish, Served, eventually
from tests.wire.following import NOTES, next_of, note
from tests.wire.raw import deaf_socket, frame_of, send
from tests.wire.seen import Watched
from tests.wire.sockets import opened, receive, subscribe, until_done


def test_subscriber_that_does_not_read_holds_nobody_up(served: Served, topic: str, publish: Publish) -> None:
    """The others get everything at once; it gets everything too, in order, once it reads."""
    publish("0")
    texts = [f"{number}:" + "x" * 100_000 for number in range(1, 41)]
    with closing(deaf_socket(served.url)) as deaf, opened(served, max_size=None) as client:
        payload = {"query": NOTES, "variables": {"topic": topic, "after": 0}}
        send(deaf, {"type": "subscribe", "id": "deaf", "payload": payload})
        subscribe(client, NOTES, variables={"topic": topic})
        assert next_of(client, "1") == note(1, "0")
        for number, text in enumerate(texts, 2):
            publish(text)
            assert next_of(client, "1") == note(number, text)
        received = _frames(deaf, len(texts) + 1)
    assert [message["id"] for message in received] == ["deaf"] * 41
    assert [message["payload"] for message in received] == [
        note(number, text) for number, text in enumerate(["0", *texts], 1)
    ]


def _frames(client: socket.socket, count: int) -> list[dict[str, object]]:
    """The next messages; pings are none."""
    data = b""
    found: list[dict[str, object]] = []
    while len(found) < count:
        while len(data) < 10 or len(data) < (size := _size(data)):
            more = client.recv(1 << 20)
            assert more
            data += more
        if data[0] == 0x81:
            found.append(json.loads(data[size - _length(data) : size]))
        data = data[size:]
    return found


def _length(data: bytes) -> int:
    return {126: int.from_bytes(data[2:4], "big"), 127: int.from_bytes(data[2:10], "big")}.get(data[1], data[1])


def _size(data: bytes) -> int:
    return _length(data) + {126: 4, 127: 10}.get(data[1], 2)


def test_subscriber_that_leaves_takes_nobody_with_it(served: Served, topic: str, publish: Publish) -> None:
    """Neither one that says so, nor one that vanishes; after the last one nothing is left."""
    publish("one")
    with opened(served) as first, opened(served) as second, opened(served) as third:
        for client in (first, second, third):
            subscribe(client, NOTES, variables={"topic": topic})
            next_of(client, "1")
        first.send('{"type":"complete","id":"1"}')
        second.socket.shutdown(socket.SHUT_RDWR)
        publish("two")
        assert next_of(third, "1") == note(2, "two")
        first.send('{"type":"ping"}')
        assert receive(first) == {"type": "pong"}
        assert len(served.seen.topics[topic].watchers) == 1
        third.send('{"type":"complete","id":"1"}')
        eventually(lambda: served.seen.topics[topic].watchers == set())
        subscribe(third, NOTES, variables={"topic": topic})
        assert next_of(third, "1") == note(2, "two")


def test_subscriber_that_returns_at_once_is_served(served: Served, topic: str, publish: Publish) -> None:
    """The broadcast that ends with its last subscriber is not the one that takes it back."""
    publish("one")
    with closing(deaf_socket(served.url)) as client:
        for id_ in ("1", "2", "3"):
            message = {"type": "subscribe", "id": id_, "payload": {"query": NOTES, "variables": {"topic": topic}}}
            left = [] if id_ == "1" else [{"type": "complete", "id": str(int(id_) - 1)}]
            client.sendall(b"".join(map(frame_of, [*left, message])))
            assert [got["id"] for got in _frames(client, 1)] == [id_]


def test_error_of_a_field_is_part_of_the_result(
    served: Served, topic: str, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    """It is masked and logged once for all who asked for it, and nothing to those who did not."""
    publish("one")
    broken = "subscription($topic:String!){notes(topic:$topic){text broken}}"
    with opened(served) as client:
        for id_, query in (("1", broken), ("2", broken), ("3", NOTES)):
            subscribe(client, query, id_, variables={"topic": topic})
            next_of(client, id_)
        caplog.clear()
        publish("two")
        got = {message["id"]: message["payload"] for message in (receive(client) for _ in range(3))}
    assert got["3"] == note(2, "two")
    assert got["1"] == got["2"]
    assert got["1"]["data"] == {"notes": {"text": "two", "broken": None}}
    [error] = got["1"]["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("INTERNAL_SERVER_ERROR", ["notes", "broken"])
    assert len(caplog.records) == 1


def test_source_that_fails_ends_all_its_operations(
    served: Served, topic: str, publish: Publish, end: Callable[..., None]
) -> None:
    """With `error` and never `complete`, on each of its own; the sockets live."""
    with opened(served) as client:
        subscribe(client, NOTES, variables={"topic": topic})
        [message] = until_done(client)
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
        publish("one")
        for id_ in ("1", "2"):
            subscribe(client, NOTES, id_, variables={"topic": topic})
            next_of(client, id_)
        end(lost=True)
        got = [receive(client) for _ in range(2)]
        assert {(message["id"], message["type"]) for message in got} == {("1", "error"), ("2", "error")}
        assert {message["payload"][0]["message"] for message in got} == {"The topic was deleted."}
        subscribe(client, "{hello}")
        assert until_done(client)[0]["payload"]["data"] == {"hello": "hello world"}


class Jealous(Follower):
    """Has all others leave when it gets something new."""

    def __init__(self, others: list["Jealous"]) -> None:
        super().__init__(None)
        self.others = others
        self.got: list[object] = []

    def take(self, result: EncodedResult) -> bool:
        """Note it."""
        self.got.append(result.result.data)
        for other in self.others if len(self.got) > 1 else ():
            if other is not self:
                self.broadcast.leave(other)
        return True

    def finish(self) -> None:
        """It does not end."""


async def test_follower_that_leaves_while_results_are_handed_out_gets_none() -> None:
    """Not even the one that is being handed out."""
    seen, schema = Watched(), make_test_schema()
    seen.topics["t"].publish("one")
    context = Context(cast("Resources", seen))
    started = await schema.start('subscription{notes(topic:"t"){text}}', None, None, context)
    assert isinstance(started, Subscription)
    assert isinstance(started.source, NumberedEvents)
    broadcast = Broadcast(started, started.source, schema.subscriptions)
    followers: list[Jealous] = []
    followers += [Jealous(followers) for _ in range(3)]
    for follower in followers:
        broadcast.join(follower)

    async def all_have_one() -> bool:
        return all(follower.got for follower in followers)

    async def one_has_three() -> bool:
        return any(len(follower.got) == 3 for follower in followers)

    await eventually_async(all_have_one)
    for text in ("two", "three"):
        seen.topics["t"].publish(text)
    await eventually_async(one_has_three)
    assert sorted(len(follower.got) for follower in followers) == [1, 1, 3]
    broadcast.task.cancel()
