"""Connections spoken byte by byte, for clients that do not behave."""

import base64
import json
import os
import socket

import httpx

RECEIVED_BYTES = 4096
"""Of the system's buffer for what a client does not read, so that the server's fills soon."""


def connected(url: str, *, receives: int | None = None) -> socket.socket:
    """A connection to the host of a URL; `receives` bounds what the system reads of itself."""
    target = httpx.URL(url)
    client = socket.socket()
    if receives is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    client.settimeout(10)
    client.connect((target.host, target.port or 80))
    return client


def answer_of(client: socket.socket) -> tuple[int, str, str]:
    """Status, code and message of the error that a connection ends with."""
    received = b""
    while data := client.recv(65536):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    [error] = json.loads(body)["errors"]
    return int(head.split()[1]), error["extensions"]["code"], error["message"]


def deaf_socket(url: str) -> socket.socket:
    """A graphql-transport-ws connection that is acknowledged, and reads nothing after that."""
    client = connected(url, receives=RECEIVED_BYTES)
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        "GET /graphql HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        "sec-websocket-protocol: graphql-transport-ws\r\n\r\n".encode()
    )
    _await(client, b"\r\n\r\n")
    send(client, {"type": "connection_init"})
    _await(client, b"connection_ack")
    return client


def send(client: socket.socket, message: object) -> None:
    """Send a message as one text frame."""
    client.sendall(frame_of(message))


def frame_of(message: object) -> bytes:
    """The text frame of a message, masked with zeros."""
    text = json.dumps(message).encode()
    return b"\x81\xff" + len(text).to_bytes(8, "big") + bytes(4) + text


def fill(client: socket.socket, bytes_each: int, count: int) -> None:
    """Ask for answers that are not read, until nothing more can be sent to the client."""
    payload = {"query": "query($v:JSON!){echo(value:$v)}", "variables": {"v": "x" * bytes_each}}
    for number in range(count):
        send(client, {"type": "subscribe", "id": f"fill-{number}", "payload": payload})


def _await(client: socket.socket, end: bytes) -> None:
    received = b""
    while end not in received:
        data = client.recv(4096)
        assert data, received
        received += data
