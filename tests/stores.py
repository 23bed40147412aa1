"""A table and a bucket of a test's own on the session's AWS stand-in."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from gateway.records.clock import system_clock
from gateway.services.migrate import prepare_table
from gateway.settings import Settings
from gateway.upstream.dynamo import Dynamo, open_dynamo
from tests.aws import as_role


class StoppedClock:
    """A clock that tests move."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time it shows."""
        return self.now

    def advance(self, **step: float) -> None:
        """Move it on by a timedelta's arguments."""
        self.now += timedelta(**step)


async def prepared_settings(aws_url: str) -> Settings:
    """Settings of a fresh table and bucket."""
    suffix = uuid.uuid4().hex[:12]
    settings = Settings(
        aws_endpoint_url=aws_url, dynamodb_table_name=f"table-{suffix}", s3_bucket_name=f"bucket-{suffix}"
    )
    await prepare_table(settings.model_copy(update={"aws_endpoint_url": as_role(aws_url, "fixture")}))
    return settings


@asynccontextmanager
async def opened_dynamo(aws_url: str, clock: Callable[[], datetime] = system_clock) -> AsyncIterator[Dynamo]:
    """A fresh table, opened."""
    settings = await prepared_settings(aws_url)
    async with open_dynamo(
        region=settings.aws_region,
        endpoint_url=settings.dynamodb_endpoint_url,
        table_name=settings.dynamodb_table_name,
        log_retention_days=30,
        clock=clock,
    ) as dynamo:
        yield dynamo
