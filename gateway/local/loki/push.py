"""What comes in: the JSON form of Loki's push API, checked as Loki checks it."""

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.local.loki.errors import BadRequestError
from gateway.local.loki.labels import detect_level, with_service_name
from gateway.local.loki.store import MAX_AGE_NS, NewLine

MAX_AHEAD_NS = 10 * 60 * 10**9
"""Loki's creation_grace_period."""
MAX_LINE_BYTES = 256 * 1024
"""Loki's max_line_size."""
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Far above what a runner collects between two pushes."""

NewStreams = list[tuple[Mapping[str, str], Sequence[NewLine]]]


def read_push(body: bytes, encoding: str, now_ns: int) -> NewStreams:
    """Read `{"streams": [{"stream": {…}, "values": [["ns", "line"], …]}]}`, gzipped or not.

    What Loki would refuse is a BadRequestError.
    """
    try:
        raw = gzip.decompress(body) if encoding == "gzip" else body
        streams = orjson.loads(raw)["streams"]
        return [_read_stream(stream, now_ns) for stream in streams]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRequestError(f"couldn't parse push request: {error}") from error


def _read_stream(stream: Mapping[str, Any], now_ns: int) -> tuple[Mapping[str, str], Sequence[NewLine]]:
    labels = {str(name): str(value) for name, value in stream["stream"].items()}
    if not labels:
        raise BadRequestError("error at least one label pair is required per stream")
    shown = "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
    lines = []
    for timestamp, line, *_metadata in stream["values"]:
        if not isinstance(line, str):
            raise TypeError("the line of an entry has to be a string")
        ts = int(timestamp)
        if ts < now_ns - MAX_AGE_NS:
            raise BadRequestError(f"entry for stream '{shown}' has timestamp too old: {ts}")
        if ts > now_ns + MAX_AHEAD_NS:
            raise BadRequestError(f"entry for stream '{shown}' has timestamp too new: {ts}")
        if len(line.encode()) > MAX_LINE_BYTES:
            raise BadRequestError(
                f"Max entry size '{MAX_LINE_BYTES}' bytes exceeded for stream '{shown}' "
                f"while adding an entry with length '{len(line.encode())}' bytes"
            )
        lines.append(NewLine(ts, detect_level(line, labels), line))
    return with_service_name(labels), lines
