"""A table with rows of before and no index, and what a test asks about it."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import boto3

from gateway.services.migrate import Migration, migrate
from gateway.settings import Settings
from gateway.upstream.dynamo import Dynamo, open_dynamo
from gateway.upstream.dynamo.attributes import Item, decode_item
from tests.aws import REGION, as_role
from tests.migration.former import START, write_rows

LATER = START + timedelta(days=30)
"""When migrations run: everything of before has had its time."""
KEYS = ("PK", "SK")


@dataclass(slots=True)
class Stage:
    """A table as the former backend left it."""

    settings: Settings
    client: Any
    now: datetime = LATER
    progress: list[str] = field(default_factory=list)

    @property
    def table(self) -> str:
        """Its name."""
        return self.settings.dynamodb_table_name

    @property
    def migrate_url(self) -> str:
        """Where `migrate` finds AWS."""
        return as_role(self.settings.aws_endpoint_url or "", "migrate")

    def write(self, *rows: dict[str, Any]) -> None:
        """Put rows into it."""
        write_rows(self.client, self.table, rows)

    async def migrate(self, *, dry_run: bool = False) -> Migration:
        """Run the migration at `now`, without a limit."""
        migrates = self.settings.model_copy(update={"aws_endpoint_url": self.migrate_url})
        return await migrate(
            migrates, rows_per_s=None, dry_run=dry_run, report=self.progress.append, clock=lambda: self.now
        )

    def rows(self) -> dict[tuple[str, str], Item]:
        """Everything in the table."""
        found: dict[tuple[str, str], Item] = {}
        for page in self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True):
            for raw in page["Items"]:
                item = decode_item(raw)
                found[item["PK"], item["SK"]] = item
        return found

    @asynccontextmanager
    async def dynamo(self) -> AsyncIterator[Dynamo]:
        """The table as the gateway opens it."""
        async with open_dynamo(
            region=self.settings.aws_region,
            endpoint_url=self.settings.dynamodb_endpoint_url,
            table_name=self.table,
            log_retention_days=30,
            clock=lambda: self.now,
        ) as dynamo:
            yield dynamo


def new_stage(aws_url: str, rows: Iterable[dict[str, Any]] = ()) -> Stage:
    """A table without the index, with these rows."""
    suffix = uuid.uuid4().hex[:12]
    settings = Settings(
        aws_endpoint_url=aws_url, dynamodb_table_name=f"former-{suffix}", s3_bucket_name=f"bucket-{suffix}"
    )
    client = boto3.client("dynamodb", endpoint_url=settings.dynamodb_endpoint_url, region_name=REGION)
    client.create_table(
        TableName=settings.dynamodb_table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEYS],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    )
    stage = Stage(settings, client)
    stage.write(*rows)
    return stage


def kinds(rows: Iterable[tuple[str, str]]) -> Counter[str]:
    """How many rows there are of each kind, such as `WS FN`."""
    return Counter(f"{pk.partition('#')[0]} {sk.partition('#')[0]}" for pk, sk in rows)
