"""What the wire tests look at from outside, which their schema notes down as it runs."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from gateway.telemetry import record_call
from schema.context import Context, Info, Loader
from tests.wire.numbers import Topic


@dataclass
class Watched:
    """What the tests look at from outside: subscriptions under way, and how often rows were read."""

    active: int = 0
    reads: list[int] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)
    mutated: int = 0
    topics: defaultdict[str, Topic] = field(default_factory=lambda: defaultdict(Topic))


def watched(info: Info) -> Watched:
    """The counters, which stand in for the resources."""
    return cast("Watched", info.context.resources)


class RowLoader(Loader[int, int]):
    """Reads rows, and notes each."""

    async def load_batch(self, keys: tuple[int, ...]) -> dict[int, int | Exception]:
        """Read all."""
        seen = cast("Watched", self.resources)
        seen.reads.extend(keys)
        record_call("dynamodb", "BatchGetItem")
        return {key: key * 10 for key in keys}


@contextlib.contextmanager
def counted(seen: Watched) -> Iterator[None]:
    """Count a subscription for as long as it runs."""
    seen.active += 1
    try:
        yield
    finally:
        seen.active -= 1
