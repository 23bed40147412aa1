"""Where the stand-in keeps lines: a SQLite file, so that they survive `kill -9`, bounded by age and size."""

import heapq
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

import orjson

from gateway.local.loki.logql import LogSelector

MAX_AGE_NS = 7 * 24 * 3600 * 10**9
"""A week, as Loki's own reject_old_samples_max_age: what may come in is what is kept."""
MAX_SIZE_BYTES = 256 * 1024 * 1024
"""About a million lines; a laptop's disk does not notice."""
TRIM_FRACTION = 10
"""Over the size, a tenth of the lines goes at once: trimming is rare then."""

TABLES = """
CREATE TABLE IF NOT EXISTS streams (id INTEGER PRIMARY KEY, labels TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS lines (
    number INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    level TEXT NOT NULL,
    line TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS lines_by_stream ON lines (stream, ts);
CREATE INDEX IF NOT EXISTS lines_by_time ON lines (ts);
"""


class StoredLine(NamedTuple):
    """A line; `number` grows in the order lines came in."""

    ts: int
    number: int
    stream: int
    level: str
    line: str


class NewLine(NamedTuple):
    """A line that comes in."""

    ts: int
    level: str
    line: str


class LineStore:
    """The lines of all streams; every call may block, and any thread may make it."""

    def __init__(self, path: Path, *, max_size_bytes: int = MAX_SIZE_BYTES) -> None:
        self._lock = threading.Lock()
        self._max_size_bytes = max_size_bytes
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # NORMAL loses nothing when the process is killed, only when the machine is.
        self._database.executescript(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + TABLES
        )
        rows = self._database.execute("SELECT id, labels FROM streams")
        self._streams: dict[int, dict[str, str]] = {number: orjson.loads(text) for number, text in rows}
        self._ids = {_key(labels): number for number, labels in self._streams.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._database.close()

    def append(self, streams: Sequence[tuple[Mapping[str, str], Sequence[NewLine]]]) -> None:
        """Store lines, all or none; they are on their way to the disk when this returns."""
        with self._lock:
            numbered = [(self._stream_id(dict(labels)), lines) for labels, lines in streams]
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                for stream, lines in numbered:
                    self._database.executemany(
                        "INSERT INTO lines (stream, ts, level, line) VALUES (?, ?, ?, ?)",
                        ((stream, *line) for line in lines),
                    )

    def read(
        self, selector: LogSelector, start: int, end: int, limit: int, *, newest_first: bool
    ) -> list[tuple[dict[str, str], list[StoredLine]]]:
        """Up to `limit` lines with start <= ts < end, by stream and level, which the labels name; each sorted."""
        found: dict[tuple[int, str], list[StoredLine]] = {}
        with self._lock:
            selected = [number for number, labels in self._streams.items() if selector.selects(labels)]
            merged = heapq.merge(
                *(self._read_stream(number, start, end, newest_first) for number in selected),
                key=attrgetter("ts", "number"),
                reverse=newest_first,
            )
            for line in merged:
                if selector.accepts(line.line):
                    found.setdefault((line.stream, line.level), []).append(line)
                    limit -= 1
                    if limit == 0:
                        break
        return [
            ({**self._streams[stream], "detected_level": level}, lines)
            for (stream, level), lines in sorted(found.items())
        ]

    def list_streams(self, start: int, end: int) -> list[dict[str, str]]:
        """The labels of the streams with lines in start <= ts < end."""
        with self._lock:
            rows = self._database.execute(
                "SELECT id FROM streams WHERE EXISTS "
                "(SELECT 1 FROM lines WHERE stream = streams.id AND ts >= ? AND ts < ?)",
                (start, end),
            )
            return [self._streams[number] for (number,) in rows]

    def trim(self, now_ns: int) -> None:
        """Delete what is too old, then the oldest tenth as long as the file is too large."""
        with self._lock:
            self._database.execute("DELETE FROM lines WHERE ts < ?", (now_ns - MAX_AGE_NS,))
            while self._size_bytes() > self._max_size_bytes:
                deleted = self._database.execute(
                    "DELETE FROM lines WHERE number IN (SELECT number FROM lines ORDER BY ts, number "
                    "LIMIT (SELECT count(*) / ? + 1 FROM lines))",
                    (TRIM_FRACTION,),
                )
                if not deleted.rowcount:
                    break
            self._forget_empty_streams()
            self._database.executescript("PRAGMA incremental_vacuum")  # execute would free one page only

    def _forget_empty_streams(self) -> None:
        """Every deploy has pods with new names."""
        rows = self._database.execute(
            "DELETE FROM streams WHERE NOT EXISTS (SELECT 1 FROM lines WHERE stream = streams.id) RETURNING id"
        )
        for (number,) in rows.fetchall():
            del self._ids[_key(self._streams.pop(number))]

    def _size_bytes(self) -> int:
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _stream_id(self, labels: dict[str, str]) -> int:
        key = _key(labels)
        if key not in self._ids:
            cursor = self._database.execute("INSERT INTO streams (labels) VALUES (?)", (key,))
            number = int(cursor.lastrowid or 0)
            self._ids[key], self._streams[number] = number, labels
        return self._ids[key]

    def _read_stream(self, stream: int, start: int, end: int, newest_first: bool) -> Iterator[StoredLine]:
        order = "DESC" if newest_first else "ASC"
        return map(
            StoredLine._make,
            self._database.execute(
                "SELECT ts, number, stream, level, line FROM lines "  # noqa: S608  # two constants
                f"WHERE stream = ? AND ts >= ? AND ts < ? ORDER BY ts {order}, number {order}",
                (stream, start, end),
            ),
        )


def _key(labels: Mapping[str, str]) -> str:
    return orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()
