"""How many subscriptions a process carries, by whatever transport; a connection's own limit is the transport's."""

from collections.abc import Iterator
from contextlib import contextmanager

from graphql import GraphQLError
from strawberry.types.execution import PreExecutionError

from schema.errors import BAD_REQUEST

MAX_SUBSCRIPTIONS = 20_000
"""Twice what one replica is made for; beyond it, all would suffer."""


class OpenSubscriptions:
    """The subscriptions under way, of which there may be `limit`."""

    def __init__(self, limit: int = MAX_SUBSCRIPTIONS) -> None:
        self._limit = limit
        self._count = 0

    def refuse(self) -> PreExecutionError | None:
        """A refusal, which may be retried, where there are as many as may be."""
        if self._count < self._limit:
            return None
        message = f"This gateway has {self._limit} subscriptions open, as many as it may: try again."
        error = GraphQLError(message, extensions={"code": BAD_REQUEST, "retryable": True})
        return PreExecutionError(data=None, errors=[error])

    def enter(self) -> None:
        """Count one more."""
        self._count += 1

    def leave(self) -> None:
        """Count one less."""
        self._count -= 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one for as long as the block lasts."""
        self.enter()
        try:
            yield
        finally:
            self.leave()
