"""Subscriptions that many hold: each event is executed and encoded once for all who asked for the same.

A broadcast has one watcher and one task, whatever the number of its followers: to hand them a result takes neither
a task nor a timer of their own. They stand in it by the number of the event they have seen last. Who comes late,
resumes, or falls behind stands further back, gets what is between from the watcher, and meets the others there.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from strawberry.http import GraphQLRequestData

from schema.open_subscriptions import OpenSubscriptions
from schema.subscriptions import NumberedEvents, Subscription, Watcher
from schema.transport.encoding import encode_json
from schema.transport.results import EncodedResult

IN_A_ROW = 200
"""Followers that are served before the loop may do something else: a few ms."""

Key = tuple[str, str | None, bytes]


class Follower(ABC):
    """One subscriber of a broadcast."""

    __slots__ = ("broadcast", "place", "seen")

    broadcast: "Broadcast"
    """What it has joined."""

    def __init__(self, seen: int | None) -> None:
        self.seen = seen
        self.place: set[Follower] | None = None
        """Those who have seen the same and wait with it; None where it is busy with what it got."""

    @abstractmethod
    def take(self, result: EncodedResult) -> bool:
        """Take a result without waiting; True to wait for the next, else `Broadcast.wait` says when."""

    @abstractmethod
    def finish(self) -> None:
        """There are no more results."""


class Broadcast:
    """One operation on one source, and all who follow it; it ends when the last of them leaves."""

    def __init__(
        self, subscription: Subscription, events: NumberedEvents[Any, Any], count: OpenSubscriptions
    ) -> None:
        self._subscription = subscription
        self._events = events
        self._count = count
        self._followers: set[Follower] = set()
        self._places: dict[int | None, set[Follower]] = {}
        self._woken: asyncio.Event | None = None
        self._failure: EncodedResult | None = None
        self.is_open = True
        """Whether it takes more followers."""
        self.task = asyncio.create_task(self._run(), name="broadcast")

    def join(self, follower: Follower) -> None:
        """Give it what it has not seen, and all that comes."""
        follower.broadcast = self
        self._followers.add(follower)
        self._count.enter()
        self.wait(follower)

    def wait(self, follower: Follower) -> None:
        """Give a follower the next result, as soon as there is one that it has not seen."""
        if self._failure is not None:
            follower.take(self._failure)
        elif follower in self._followers:
            self._stand(follower)
            if self._woken is not None:
                self._woken.set()

    def leave(self, follower: Follower) -> None:
        """Give it no more; with the last one the broadcast ends."""
        if follower not in self._followers:
            return
        self._followers.remove(follower)
        self._count.leave()
        if follower.place is not None:
            follower.place.discard(follower)
            follower.place = None
        if not self._followers:
            self.is_open = False
            self.task.cancel()

    def _stand(self, follower: Follower) -> None:
        follower.place = self._places.setdefault(follower.seen, set())
        follower.place.add(follower)

    async def _run(self) -> None:
        try:
            with self._events.watch(None) as watcher:
                await watcher.read()
                self._woken = watcher.changed
                while True:
                    watcher.changed.clear()
                    await self._serve(watcher)
                    await watcher.changed.wait()
        except Exception as error:
            self.is_open = False
            self._failure = EncodedResult(self._subscription.failure(error))
            for follower in list(self._followers):
                if follower.place is not None:
                    follower.take(self._failure)

    async def _serve(self, watcher: Watcher[Any]) -> None:
        """Until all who wait have seen what there is."""
        while self._places:
            # Who is furthest behind comes first; a new one, who asks for the state of now, before all.
            seen = min(self._places, key=lambda number: -1 if number is None else number)
            if not self._places[seen]:
                del self._places[seen]
                continue
            record = watcher.next_after(seen)
            if record is not None:
                place = self._places.pop(seen)
                event = self._events.to_event(record)
                await self._hand_out(
                    place, EncodedResult(await self._subscription.execute(event)), record.sequence
                )
            elif watcher.has_ended:
                for follower in list(self._places.pop(seen)):
                    follower.place = None
                    follower.finish()
            else:
                return

    async def _hand_out(self, place: set[Follower], result: EncodedResult, sequence: int) -> None:
        for served, follower in enumerate(list(place), 1):
            if follower.place is place:  # it has not left meanwhile
                follower.place, follower.seen = None, sequence
                if follower.take(result):
                    self._stand(follower)
            if served % IN_A_ROW == 0:
                await asyncio.sleep(0)


class Broadcasts:
    """The broadcasts under way, by what makes subscriptions the same."""

    def __init__(self, count: OpenSubscriptions) -> None:
        self._count = count
        self._found: dict[Key, Broadcast] = {}

    def join(
        self,
        subscription: Subscription,
        events: NumberedEvents[Any, Any],
        request: GraphQLRequestData,
        follower: Follower,
    ) -> None:
        """Have it follow the broadcast of this operation: another one unless all but `after` is the same."""
        named = set(subscription.prepared.mentions) - {subscription.resuming_variable()}
        values = {name: value for name, value in (request.variables or {}).items() if name in named}
        key = (request.query or "", request.operation_name, encode_json(values))
        found = self._found.get(key)
        if found is None or not found.is_open:
            found = self._found[key] = Broadcast(subscription, events, self._count)
            found.task.add_done_callback(partial(self._forget, key))
        found.join(follower)

    def _forget(self, key: Key, task: asyncio.Task[None]) -> None:
        found = self._found.get(key)
        if found is not None and found.task is task:
            del self._found[key]


class Reader(Follower):
    """A follower that takes one result at a time."""

    __slots__ = ("_arrival",)

    def __init__(self, seen: int | None) -> None:
        super().__init__(seen)
        self._arrival: asyncio.Future[EncodedResult | None] = asyncio.get_running_loop().create_future()

    def take(self, result: EncodedResult) -> bool:
        """Hand it to `read`."""
        if not self._arrival.done():  # it is, when the reading was cancelled a moment ago
            self._arrival.set_result(result)
        return False

    def finish(self) -> None:
        """End `read`."""
        if not self._arrival.done():
            self._arrival.set_result(None)

    async def read(self, join: Callable[[Follower], None]) -> AsyncGenerator[EncodedResult, None]:
        """The results, each once the one before has been dealt with; a failure is the last."""
        join(self)
        try:
            while (result := await self._arrival) is not None:
                yield result
                if result.is_failure:
                    return
                self._arrival = asyncio.get_running_loop().create_future()
                self.broadcast.wait(self)
        finally:
            self.broadcast.leave(self)
