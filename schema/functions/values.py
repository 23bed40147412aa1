"""What a function consists of besides plain fields: its environment, and the hours of its history."""

from datetime import UTC, datetime

import strawberry

from gateway.records.functions import Figures

MAX_HISTORY_HOURS = 24
"""What the figures hold."""
SECONDS_PER_HOUR = 3600


@strawberry.type(description="A variable that the function finds in its environment.")
class EnvironmentVariable:
    """An environment variable."""

    name: str = strawberry.field(description="Letters, digits and `_`, no digit first.")
    value: str = strawberry.field(
        description="Its value. Values are part of the deployed image: no place for secrets."
    )


@strawberry.type(description="What was invoked within one hour.")
class InvocationBucket:
    """One hour of a function's history."""

    start: datetime = strawberry.field(description="The beginning of the hour.")
    invocations: int = strawberry.field(description="How many invocations ended in it.")
    errors: int = strawberry.field(description="How many of them were not answered with a 2xx.")
    avg_duration: float = strawberry.field(description="Their mean duration in ms; 0 when there were none.")


def buckets_of(figures: Figures, hours: int) -> list[InvocationBucket]:
    """The last hours of the figures, oldest first."""
    return [
        InvocationBucket(
            start=datetime.fromtimestamp(hour.hour * SECONDS_PER_HOUR, UTC),
            invocations=hour.invocations,
            errors=hour.errors,
            avg_duration=hour.duration_ms / hour.invocations if hour.invocations else 0.0,
        )
        for hour in figures.hours[-hours:]
    ]
