"""The rolling 24-hour figures that functions and workspaces show alike."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import TypeVar

import strawberry

from gateway.records.functions import Figures
from schema.context import Context, Info
from schema.plans import plain

T = TypeVar("T")


@strawberry.type
class RollingFigures:
    """The fields of what has figures; they are loaded where they were not read with it."""

    figures: strawberry.Private[Figures | None] = None

    @abstractmethod
    async def load_figures(self, context: Context) -> Figures:
        """Read the figures of this object."""

    def derive(self, info: Info, derive: Callable[[Figures], T]) -> T | Awaitable[T]:
        """What is made of the figures: at once where they are there, else once they are loaded."""
        if self.figures is not None:
            return derive(self.figures)

        async def load() -> T:
            return derive(await self.load_figures(info.context))

        return load()

    @strawberry.field(
        description="Invocations in the last 24 hours: a rolling window of the current hour and the 23 before it, "
        "not a counter since creation.",
        metadata=plain(attrgetter("figures.invocations")),
    )
    def invocations24h(self, info: Info) -> int:
        """Sum the window."""
        return self.derive(info, lambda figures: figures.invocations)  # type: ignore[return-value]  # or awaitable

    @strawberry.field(
        description="How many of them were not answered with a 2xx.",
        metadata=plain(attrgetter("figures.errors")),
    )
    def errors24h(self, info: Info) -> int:
        """Sum the window."""
        return self.derive(info, lambda figures: figures.errors)  # type: ignore[return-value]  # or awaitable

    @strawberry.field(
        description="errors24h / invocations24h * 100; 0 when nothing was invoked.",
        metadata=plain(attrgetter("figures.error_rate")),
    )
    def error_rate(self, info: Info) -> float:
        """Divide the sums."""
        return self.derive(info, lambda figures: figures.error_rate)  # type: ignore[return-value]  # or awaitable
