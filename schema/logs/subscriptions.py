"""Following a function's output live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated

import strawberry

from gateway.errors import NotFoundError
from gateway.services.validation import check_function_id
from schema.context import Info
from schema.functions.loaders import FunctionByIdLoader
from schema.logs.types import LogEntry, LogLabel, check_contains


@strawberry.type
class LogSubscriptions:
    """The subscriptions of logs."""

    @strawberry.subscription(
        description="Lines as Loki receives them (tail), starting at `since` (default now). Does not complete by "
        "itself."
    )
    async def function_logs(
        self,
        info: Info,
        function_id: Annotated[strawberry.ID, strawberry.argument(description="The function's id.")],
        since: Annotated[
            datetime | None,
            strawberry.argument(
                description="From this time on, at most 30 days back; of the lines there are, the newest 1,000 "
                "come first."
            ),
        ] = None,
        contains: Annotated[
            str | None, strawberry.argument(description="Only lines that contain this text, case and all.")
        ] = None,
    ) -> AsyncGenerator[LogEntry, None]:
        """Follow a function."""
        wanted = check_contains(contains)
        if await info.context.loader(FunctionByIdLoader).load(check_function_id(function_id)) is None:
            raise NotFoundError(f"There is no function {function_id}.", field="functionId")
        lines = info.context.resources.tails.follow(function_id, since=since, contains=wanted)
        async with aclosing(lines):
            async for record in lines:
                labels = [LogLabel(name=name, value=value) for name, value in record.labels]
                yield LogEntry.from_record(record, labels)
