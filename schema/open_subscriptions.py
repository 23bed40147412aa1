"""How many subscriptions a process carries, by whatever transport; a connection's own limit is the view's."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

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

    async def counted(self, results: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """Pass on the results of one more; a refusal, which may be retried, where there are as many as may be."""
        async with aclosing(results):
            if self._count >= self._limit:
                yield self._refusal()
                return
            self._count += 1
            try:
                async for result in results:
                    yield result
            finally:
                self._count -= 1

    def _refusal(self) -> PreExecutionError:
        message = f"This gateway has {self._limit} subscriptions open, as many as it may: try again."
        error = GraphQLError(message, extensions={"code": BAD_REQUEST, "retryable": True})
        return PreExecutionError(data=None, errors=[error])
