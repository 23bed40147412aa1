"""The protocol between the runner and a worker: frames over a stream socket, one request at a time.

A frame is two big-endian 32-bit lengths, a JSON head and a binary body. The runner opens with the worker's
settings; the worker answers `{"ready": true}` or `{"error": …}`. Then requests `{"id", "method", "path",
"authority", "headers"}` are answered by `{"id", "status", "headers", "cpu_s", "rss_bytes"}`; `{"cancel": id}` ends
a running one. Header values are bytes, carried as Latin-1. Workers import this: standard library only.
"""

import asyncio
import json
import re
import resource
import socket
import struct
import sys
import time
from typing import Any

_LENGTHS = struct.Struct("!II")
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KB on Linux

# RFC 9110, 5.1 and 5.5: a token, and a value without control characters.
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")

Head = dict[str, Any]
HeaderList = list[tuple[str, bytes]]


def pack(head: Head, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = json.dumps(head).encode()
    return b"".join((_LENGTHS.pack(len(text), len(body)), text, body))


async def read(reader: asyncio.StreamReader) -> tuple[Head, bytes]:
    """Wait for one frame; asyncio.IncompleteReadError when the worker has gone."""
    head_bytes, body_bytes = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    head: Head = json.loads(await reader.readexactly(head_bytes))
    return head, await reader.readexactly(body_bytes)


def is_field(name: str, value: bytes) -> bool:
    """Whether this can be sent as a header field."""
    return bool(_FIELD_NAME.fullmatch(name) and _FIELD_VALUE.fullmatch(value))


def dump_headers(headers: HeaderList) -> list[list[str]]:
    """Headers as a frame carries them."""
    return [[name, value.decode("latin-1")] for name, value in headers]


def load_headers(carried: list[list[str]]) -> HeaderList:
    """Headers out of a frame."""
    return [(name, value.encode("latin-1")) for name, value in carried]


class Connection:
    """The worker's end, blocking; `receive` raises EOFError when the runner has gone."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        self._reader = self._socket.makefile("rb")

    def receive(self) -> tuple[Head, bytes]:
        """Wait for one frame."""
        head_bytes, body_bytes = _LENGTHS.unpack(self._read(_LENGTHS.size))
        head: Head = json.loads(self._read(head_bytes))
        return head, self._read(body_bytes)

    def send(self, head: Head, body: bytes = b"") -> None:
        """Send one frame."""
        self._socket.sendall(pack(head, body))

    def send_answer(self, request: Head, status: int, headers: HeaderList, body: bytes) -> None:
        """Answer `request`, with the CPU seconds and the peak memory of this process so far."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        head = {
            "id": request["id"],
            "status": status,
            "headers": dump_headers(headers),
            "cpu_s": time.process_time(),
            "rss_bytes": usage.ru_maxrss * _RSS_UNIT_BYTES,
        }
        self.send(head, body)

    def _read(self, count: int) -> bytes:
        data = self._reader.read(count)
        if len(data) < count:
            raise EOFError
        return data
