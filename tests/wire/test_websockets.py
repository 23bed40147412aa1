"""graphql-transport-ws, spoken by hand over real sockets."""

import logging
import time
from contextlib import closing
from socket import SHUT_RDWR

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.wire.app import MAX_BODY_BYTES
from tests.wire.conftest import Served, eventually
from tests.wire.raw import deaf_socket, fill, send
from tests.wire.sockets import closing_of, opened, receive, subscribe, until_done


def test_subscription_gives_results_then_complete(served: Served) -> None:
    """Each result is a `next`, the end is said."""
    with opened(served) as socket:
        subscribe(socket, "subscription($to:Int!){count(to:$to)}", variables={"to": 2})
        assert until_done(socket) == [
            {"id": "1", "type": "next", "payload": {"data": {"count": 1}}},
            {"id": "1", "type": "next", "payload": {"data": {"count": 2}}},
            {"id": "1", "type": "complete"},
        ]


def test_queries_and_mutations_run_over_sockets(served: Served) -> None:
    """Other operations give one result."""
    with opened(served) as socket:
        subscribe(socket, 'mutation{create(input:{name:"x"})}')
        first, last = until_done(socket)
        assert first["payload"]["data"] == {"create": "x"}
        assert last == {"id": "1", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "results", "code"),
    [
        ("subscription{", 0, "GRAPHQL_PARSE_FAILED"),
        ("subscription{nope}", 0, "GRAPHQL_VALIDATION_FAILED"),
        ("", 0, "BAD_REQUEST"),
        ("query A{hello} query B{hello}", 0, "BAD_REQUEST"),
        ("subscription($to:Int!){count(to:$to)}", 0, "VALIDATION_ERROR"),
        ("{" + "hello " * 6000 + "}", 0, "QUERY_TOO_COMPLEX"),
        ("{hello}" + " " * 100_000, 0, "QUERY_TOO_COMPLEX"),
        ("subscription{conflicts}", 0, "CONFLICT"),
        ("subscription{fails}", 0, "INTERNAL_SERVER_ERROR"),
        ("subscription{fails(first:2)}", 2, "INTERNAL_SERVER_ERROR"),
        ("{slow}", 0, "TIMEOUT"),
    ],
)
def test_failed_operation_ends_with_error_and_the_socket_lives(
    served: Served, query: str, results: int, code: str
) -> None:
    """A failure is `error` and never `complete`, before the first result or later; other operations go on."""
    with opened(served) as socket:
        subscribe(socket, query)
        messages = until_done(socket)
        assert [message["type"] for message in messages] == ["next"] * results + ["error"]
        [error] = messages[-1]["payload"]
        assert error["extensions"]["code"] == code
        assert "hunter2" not in str(error)
        subscribe(socket, "{hello}")
        assert until_done(socket)[0]["payload"]["data"] == {"hello": "hello world"}


def test_unknown_operation_name_is_an_error(served: Served) -> None:
    """It does not close the socket, as other operations are on it."""
    with opened(served) as socket:
        subscribe(socket, "query A{hello}", operationName="B")
        [message] = until_done(socket)
        assert message["payload"][0]["message"] == 'Unknown operation named "B".'


def test_operations_of_one_socket_read_anew(served: Served) -> None:
    """Strawberry makes a context for each connection: loaders on it would answer with what was."""
    with opened(served) as socket:
        for _ in range(2):
            subscribe(socket, "{a:row(key:5) b:row(key:5)}")
            until_done(socket)
        assert served.seen.reads == [5, 5]
        subscribe(socket, "subscription{rows(key:6)}")
        until_done(socket)
        assert served.seen.reads == [5, 5, 6, 6]
    assert len({id(context) for context in served.seen.contexts}) == 2


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ("1", 4400),
        ("[" * 50_000, 4400),
        ("null", 4400),
        ("[]", 4400),
        ("{}", 4400),
        ('{"type":null}', 4400),
        ('{"type":"' + "é" * 300 + '"}', 4400),
        ('{"type":"ping","payload":NaN}', 4400),
        ('{"type":"subscribe","id":"\\ud800","payload":{"query":"{hello}"}}', 4400),
        ('{"type":"subscribe","id":"1"}', 4400),
        ('{"type":"subscribe","id":{},"payload":{"query":"{hello}"}}', 4400),
        ('{"type":"subscribe","id":"","payload":{"query":"{hello}"}}', 4400),
        ('{"type":"subscribe","id":"1","payload":{"query":1}}', 4400),
        ('{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":[]}}', 4400),
        ('{"type":"complete"}', 4400),
        (b'{"type":"ping"}', 4400),
        ('{"type":"connection_init","payload":"x"}', 4400),
        ('{"type":"connection_init"}', 4429),
    ],
)
def test_malformed_message_closes_the_socket(
    served: Served, caplog: pytest.LogCaptureFixture, message: str | bytes, code: int
) -> None:
    """What is no message of the protocol ends the connection with its code, and leaves nothing in the log."""
    with caplog.at_level(logging.ERROR), opened(served) as socket:
        socket.send(message)
        assert closing_of(socket)[0] == code
    assert caplog.records == []


@pytest.mark.parametrize(("message", "code"), [(b"\xff{", 1007), (b" " * (MAX_BODY_BYTES + 1), 1009)])
def test_frame_that_is_no_message_closes_the_socket(
    served: Served, caplog: pytest.LogCaptureFixture, message: bytes, code: int
) -> None:
    """Text that is not UTF-8 and messages over the limit end the connection below the protocol, and quietly."""
    with caplog.at_level(logging.WARNING), opened(served) as socket:
        socket.send(message, text=True)
        assert closing_of(socket)[0] == code
    assert caplog.records == []


def test_subscribing_before_init_closes_the_socket(served: Served) -> None:
    """Nothing runs before the connection is acknowledged."""
    with opened(served, init=False) as socket:
        subscribe(socket, "{hello}")
        assert closing_of(socket) == (4401, "Unauthorized")


def test_init_with_null_payload_is_taken(served: Served) -> None:
    """Some clients send null for no payload."""
    with opened(served, init=False) as socket:
        socket.send('{"type":"connection_init","payload":null}')
        assert receive(socket) == {"type": "connection_ack"}


def test_id_in_use_closes_the_socket(served: Served) -> None:
    """Two operations can't share an id."""
    with opened(served) as socket:
        subscribe(socket, "subscription{silent}")
        receive(socket)
        subscribe(socket, "{hello}")
        assert closing_of(socket) == (4409, "Subscriber for 1 already exists")


def test_socket_that_is_closed_for_a_message_ends_its_operations(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those that wait to send to a client that is behind, and without a word in the log."""
    with caplog.at_level(logging.ERROR), closing(deaf_socket(served.url)) as client:
        send(client, {"type": "subscribe", "id": "1", "payload": {"query": "subscription{silent}"}})
        fill(client, 150_000, 60)
        send(client, "not an object")
        eventually(lambda: served.seen.active == 1)
        time.sleep(0.3)  # all of it has arrived by now
        while client.recv(1 << 20):
            pass
        eventually(lambda: served.seen.active == 0)
    assert caplog.records == []


def test_operations_of_one_socket_are_limited(served: Served) -> None:
    """The hundred and first operation is refused; the others go on."""
    with opened(served) as socket:
        for number in range(101):
            subscribe(socket, "subscription{silent}", str(number))
        messages = [receive(socket) for _ in range(101)]
        errors = [message for message in messages if message["type"] == "error"]
        assert [message["id"] for message in errors] == ["100"]
        assert errors[0]["payload"][0]["extensions"]["code"] == "BAD_REQUEST"
        assert served.seen.active == 100
    eventually(lambda: served.seen.active == 0)


def test_complete_from_the_client_ends_a_subscription(served: Served) -> None:
    """Its generator is closed, and no word comes back."""
    with opened(served) as socket:
        subscribe(socket, "subscription{silent}")
        receive(socket)
        assert served.seen.active == 1
        socket.send('{"type":"complete","id":"1"}')
        eventually(lambda: served.seen.active == 0)
        socket.send('{"type":"ping"}')
        assert receive(socket) == {"type": "pong"}


def test_lost_connection_ends_its_subscriptions(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A client that vanishes without a word leaves nothing running and nothing in the log."""
    with caplog.at_level(logging.ERROR), opened(served) as socket:
        subscribe(socket, "subscription{silent}")
        subscribe(socket, "subscription{count(to:100000)}", "2")
        receive(socket)
        eventually(lambda: served.seen.active == 2)
        socket.socket.shutdown(SHUT_RDWR)
    eventually(lambda: served.seen.active == 0)
    assert [record for record in caplog.records if record.name != "websockets.client"] == []


@pytest.mark.parametrize("protocols", [["graphql-ws"], ["soap"], None])
def test_other_protocols_are_refused(served: Served, protocols: list[str] | None) -> None:
    """The legacy protocol is not spoken: no subprotocol is agreed on, and the socket is closed with 4406."""
    subprotocols = [Subprotocol(name) for name in protocols] if protocols else None
    with opened(served, init=False, subprotocols=subprotocols) as socket:
        assert socket.subprotocol is None
        assert closing_of(socket) == (4406, "Subprotocol not acceptable")


def test_origins_are_checked(served: Served) -> None:
    """Pages of allowed origins and of this host may connect, others get 403."""
    with opened(served, origin=Origin("https://console.example.com")):
        pass
    with opened(served, origin=Origin(served.url.removesuffix("/graphql"))):
        pass
    with pytest.raises(InvalidStatus) as refused, opened(served, origin=Origin("https://evil.example.com")):
        pass
    assert refused.value.response.status_code == 403
