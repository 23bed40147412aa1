"""A source of numbered events that tests publish to, and the subscription of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Note:
    """What happened."""

    sequence: int
    text: str


@dataclass
class Topic:
    """All notes so far, and who watches them."""

    notes: list[Note] = field(default_factory=list)
    ended: bool = False
    lost: bool = False
    watchers: set["NoteWatcher"] = field(default_factory=set)

    def publish(self, text: str) -> None:
        """Add a note."""
        self.notes.append(Note(len(self.notes) + 1, text))
        self.tell()

    def tell(self) -> None:
        """Have all look again."""
        for watcher in self.watchers:
            watcher.changed.set()

    @contextmanager
    def watch(self, seen: int | None) -> Iterator["NoteWatcher"]:
        """Watch from a number on."""
        watcher = NoteWatcher(self, seen)
        self.watchers.add(watcher)
        try:
            yield watcher
        finally:
            self.watchers.discard(watcher)


class NoteWatcher:
    """A watcher as schema/subscriptions.py asks for it."""

    def __init__(self, topic: Topic, seen: int | None) -> None:
        self._topic = topic
        self._seen = seen
        self.changed = asyncio.Event()

    async def read(self) -> None:
        """There has to be something to watch."""
        await asyncio.sleep(0)
        if not self._topic.notes:
            raise NotFoundError("There is nothing to watch.", field="topic")

    @property
    def has_ended(self) -> bool:
        """Whether all notes are there."""
        return self._topic.ended

    def next_after(self, seen: int | None) -> Note | None:
        """The next note; for None the last one."""
        notes = self._topic.notes
        found = notes[-1] if seen is None else next((note for note in notes if note.sequence > seen), None)
        if found is None and self._topic.lost:
            raise NotFoundError("The topic was deleted.", field="topic")
        return found

    def __aiter__(self) -> AsyncIterator[Note]:
        return self

    async def __anext__(self) -> Note:
        await self.read()
        while (note := self.next_after(self._seen)) is None:
            if self.has_ended:
                raise StopAsyncIteration
            self.changed.clear()
            await self.changed.wait()
        self._seen = note.sequence
        return note
