"""Bodies that are too long: refused as soon as that is known, in a way that lets the answer arrive."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.wire.app import MAX_BODY_BYTES, MAX_UPLOAD_BYTES
from tests.wire.conftest import Served

OPERATIONS = json.dumps({"query": "mutation($file:Upload!){upload(file:$file)}", "variables": {"file": None}})
FIELDS = (
    '--b\r\ncontent-disposition: form-data; name="operations"\r\n\r\n'
    f"{OPERATIONS}\r\n"
    '--b\r\ncontent-disposition: form-data; name="map"\r\n\r\n{"0": ["variables.file"]}\r\n'
    '--b\r\ncontent-disposition: form-data; name="0"; filename="a.py"\r\n\r\n'
).encode()
END = b"\r\n--b--\r\n"
PART = b"x" * 50_000


@contextmanager
def upload(served: Served, *headers: str) -> Iterator[socket.socket]:
    """A connection that has sent the head of an upload."""
    url = httpx.URL(served.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as client:
        lines = (
            "POST /graphql HTTP/1.1",
            "host: x",
            "content-type: multipart/form-data; boundary=b",
            "x-requested-with: test",
            *headers,
        )
        client.sendall("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        yield client


def chunk(data: bytes) -> bytes:
    """A chunk of a body without a length."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer_of(client: socket.socket) -> tuple[int, str, str]:
    """Status, code and message of what comes, whole: the connection need not have ended."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = client.recv(65536)
        assert part, received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    [error] = json.loads(body)["errors"]
    return int(head.split()[1]), error["extensions"]["code"], error["message"]


def test_file_is_refused_at_the_byte_that_is_too_many(served: Served) -> None:
    """The answer is there while the body has not ended, and counts the file, not what is around it."""
    with upload(served, "transfer-encoding: chunked") as client:
        client.sendall(chunk(FIELDS + b"x" * MAX_UPLOAD_BYTES))
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        client.sendall(chunk(b"x"))
        message = f"The upload is longer than the {MAX_UPLOAD_BYTES} bytes of MAX_UPLOAD_BYTES."
        assert answer_of(client) == (413, "PAYLOAD_TOO_LARGE", message)


def test_file_of_the_limit_is_taken(served: Served) -> None:
    """Exactly as many bytes as allowed."""
    with upload(
        served, "connection: close", f"content-length: {len(FIELDS) + MAX_UPLOAD_BYTES + len(END)}"
    ) as client:
        client.sendall(FIELDS + b"x" * MAX_UPLOAD_BYTES + END)
        received = b""
        while part := client.recv(65536):
            received += part
    assert f'"upload":{MAX_UPLOAD_BYTES}'.encode() in received


def test_body_is_refused_by_its_length_before_it_is_sent(served: Served) -> None:
    """Nothing of it is asked for, `100 Continue` neither."""
    length = MAX_UPLOAD_BYTES + MAX_BODY_BYTES + 1
    with upload(served, f"content-length: {length}", "expect: 100-continue") as client:
        assert answer_of(client)[:2] == (413, "PAYLOAD_TOO_LARGE")


def test_answer_arrives_at_a_client_that_sends_all_first(served: Served) -> None:
    """What still comes is taken in and thrown away: a reset connection would tell the client nothing."""
    size = 30 * MAX_UPLOAD_BYTES
    with upload(served, f"content-length: {len(FIELDS) + size + len(END)}") as client:
        client.sendall(FIELDS)
        for _ in range(size // len(PART)):
            client.sendall(PART)
        client.sendall(END)
        assert answer_of(client)[:2] == (413, "PAYLOAD_TOO_LARGE")
        assert client.recv(1) == b""  # and the connection has ended


def seconds_until_cut_off(client: socket.socket) -> float:
    """Send on for 8 s at most; how long it was possible."""
    started = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - started < 8:
            client.sendall(chunk(b"x" * 1000))
            time.sleep(0.05)
    return time.monotonic() - started


def test_client_that_goes_on_sending_is_cut_off(served: Served) -> None:
    """After 2 s: nobody may send for ever."""
    with upload(served, "transfer-encoding: chunked") as client:
        client.sendall(chunk(FIELDS + b"x" * (MAX_UPLOAD_BYTES + 1)))
        assert answer_of(client)[:2] == (413, "PAYLOAD_TOO_LARGE")
        assert 1.5 < seconds_until_cut_off(client) < 4


def test_several_files_are_counted_one_by_one(served: Served, http: httpx.Client) -> None:
    """Each may have the limit; the body as a whole may have it once more for what is around them."""
    files = {"0": ("a.py", b"x" * 100), "1": ("b.py", b"x" * 150_000)}
    fields = {"operations": OPERATIONS, "map": json.dumps({"0": ["variables.file"]})}
    response = http.post(served.url, data=fields, files=files, headers={"x-requested-with": "test"})
    assert response.json()["data"] == {"upload": 100}
