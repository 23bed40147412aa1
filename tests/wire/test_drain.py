"""How the server stops: a real process gets SIGTERM while clients are connected."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.wire.raw import deaf_socket, fill, send

ROOT = Path(__file__).parents[2]
SSE = {"accept": "text/event-stream"}


@contextmanager
def process(drain_timeout_s: float) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The wire app as a process, and the address its log names."""
    command = [sys.executable, "-m", "tests.wire.app", str(drain_timeout_s)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            line = running.stderr.readline()
            found = re.search(r"listening on (http://127\.0\.0\.1:\d+)$", line.strip())
            assert found, line
            yield running, found[1]
        finally:
            running.kill()


@contextmanager
def open_socket(url: str) -> Iterator[ClientConnection]:
    """A connection with a subscription that has given its first result."""
    ws_url = f"ws{url.removeprefix('http')}/graphql"
    with connect(ws_url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        socket.send('{"type":"connection_init"}')
        socket.recv(timeout=5)
        socket.send('{"type":"subscribe","id":"1","payload":{"query":"subscription{silent}"}}')
        assert socket.recv(timeout=5) == '{"id":"1","type":"next","payload":{"data":{"silent":1}}}'
        yield socket


def test_sigterm_cuts_streams_and_finishes_requests() -> None:
    """Sockets close with 1012 and streams end, neither saying `complete`; queries under way are answered."""
    with (
        process(drain_timeout_s=10) as (running, url),
        httpx.Client(base_url=url, timeout=10, trust_env=False) as client,
        open_socket(url) as socket,
        client.stream("POST", "/graphql", json={"query": "subscription{silent}"}, headers=SSE) as stream,
    ):
        lines = stream.iter_lines()
        while next(lines) != 'data: {"data":{"silent":1}}':
            pass
        answers: list[httpx.Response] = []

        def ask(headers: dict[str, str]) -> None:
            answers.append(client.post("/graphql", json={"query": "{brief}"}, headers=headers))

        queries = [threading.Thread(target=ask, args=(headers,)) for headers in ({}, SSE)]
        for query in queries:
            query.start()
        time.sleep(0.2)  # both queries have arrived by now, and take 0.6 s
        running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert [line for line in lines if line] == []
        assert time.monotonic() - began < 0.4, "streams have to end before the queries do"
        for query in queries:
            query.join()
        assert sorted('"brief":"done"' in answer.text for answer in answers) == [True, True]
        assert running.wait(timeout=5) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


def test_drain_is_bounded() -> None:
    """Requests that take longer than the drain may are given up: told so in JSON, or by a stream that is cut."""
    with process(drain_timeout_s=1) as (running, url), httpx.Client(base_url=url, trust_env=False) as client:
        answers: list[httpx.Response | httpx.RemoteProtocolError] = []

        def ask(headers: dict[str, str]) -> None:
            try:
                answers.append(client.post("/graphql", json={"query": "{slow}"}, headers=headers, timeout=20))
            except httpx.RemoteProtocolError as error:
                answers.append(error)

        queries = [threading.Thread(target=ask, args=(headers,)) for headers in ({}, SSE)]
        for query in queries:
            query.start()
        time.sleep(0.3)  # the queries have arrived by now, and take a minute
        running.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert running.wait(timeout=10) == 0
        assert 0.9 < time.monotonic() - began < 5
        for query in queries:
            query.join()
        [refused] = [answer for answer in answers if isinstance(answer, httpx.Response)]
        [error] = refused.json()["errors"]
        assert (refused.status_code, error["extensions"]["code"]) == (503, "TIMEOUT")
        assert len(answers) == 2
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()


def test_drain_is_quiet_when_a_socket_does_not_read() -> None:
    """A socket that is cut in the middle of sending ends like any other, without a word in the log."""
    with process(drain_timeout_s=1) as (running, url), closing(deaf_socket(f"{url}/graphql")) as client:
        fill(client, 150_000, 60)
        # Reading goes on until an answer to the socket itself has to wait.
        for _ in range(3):
            send(client, {"type": "ping"})
        time.sleep(0.5)  # all of it has arrived by now
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0
        assert running.stderr is not None
        assert "Traceback" not in running.stderr.read()
