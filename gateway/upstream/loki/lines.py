"""The order of a function's lines, and positions in it. No HTTP here.

Loki sorts lines within a stream only, and many lines can share a nanosecond. The order here is: time, then the
stream's labels, then Loki's own order within the stream; newest first is the exact reverse. A position names
a line by its time, its place among the lines of that time, and a checksum that finds it again when late
lines have come in between.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from gateway.errors import InvalidInputError
from gateway.records.logs import LogDirection, LogEntryRecord

POSITION = re.compile(r"(\d{1,19})-(\d{1,5})-([0-9a-f]{8})", re.ASCII)
LAST_NS = 2**63 - 2
"""Loki's times are 64-bit integers, and an exclusive end has to lie behind a line."""


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """A line, and how many lines of the same nanosecond come before it."""

    place: int
    entry: LogEntryRecord

    @property
    def timestamp_ns(self) -> int:
        """The line's time."""
        return self.entry.timestamp_ns

    @property
    def checksum(self) -> str:
        """Eight hexadecimal digits that tell apart most lines of one nanosecond."""
        return f"{zlib.crc32(self.entry.line.encode('utf-8', 'surrogatepass')):08x}"

    @property
    def position(self) -> str:
        """What a later page can start after."""
        return f"{self.timestamp_ns}-{self.place}-{self.checksum}"


@dataclass(frozen=True, slots=True)
class Position:
    """The line that an earlier page ended with."""

    timestamp_ns: int
    place: int
    checksum: str

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read a `PlacedEntry.position`; anything else is an InvalidInputError."""
        match = POSITION.fullmatch(text)
        if match is None or int(match[1]) > LAST_NS:
            raise InvalidInputError("after is not a position in a function's lines.", field="after")
        return cls(int(match[1]), int(match[2]), match[3])

    def drop_seen(self, entries: list[PlacedEntry]) -> list[PlacedEntry]:
        """Leave out the lines up to this position; `entries` start with all lines of its time, if with any."""
        tied = 0
        while tied < len(entries) and entries[tied].timestamp_ns == self.timestamp_ns:
            tied += 1
        same = [placed.place for placed in entries[:tied] if placed.checksum == self.checksum]
        if same:
            return entries[min(same, key=lambda place: abs(place - self.place)) + 1 :]
        # The line is gone (Loki deletes by age and on request): go by its place alone.
        return entries[min(self.place, tied) :]


def merge_streams(streams: Iterable[Mapping[str, Any]], direction: LogDirection) -> list[LogEntryRecord]:
    """Put the lines of Loki's `streams` result into one order; each stream is sorted in `direction` already."""
    newest_first = direction is LogDirection.NEWEST_FIRST
    labelled = [(tuple(sorted(stream["stream"].items())), stream["values"]) for stream in streams]
    labelled.sort(key=lambda pair: pair[0], reverse=newest_first)
    entries: list[LogEntryRecord] = []
    for labels, values in labelled:
        level = dict(labels).get("detected_level")
        if level == "unknown":  # Loki's word for having found none
            level = None
        entries += [
            LogEntryRecord(timestamp_ns=int(value[0]), line=value[1], level=level, labels=labels)
            for value in values
        ]
    entries.sort(key=attrgetter("timestamp_ns"), reverse=newest_first)  # stable, in reverse too
    return entries


def place_entries(entries: Sequence[LogEntryRecord]) -> list[PlacedEntry]:
    """Number the lines of each nanosecond; all of them have to be there."""
    return [
        PlacedEntry(place, entry)
        for _, tied in groupby(entries, key=attrgetter("timestamp_ns"))
        for place, entry in enumerate(tied)
    ]
