"""Preparing the table and the bucket, and bringing the rows that exist into the gateway's lists.

All of it can be run again at any time, beside running gateways, and goes on where it was killed: what is there is
never made again, and every write is conditional on what it was decided from.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.errors import DynamoDBError, S3Error, TableNotReadyError
from gateway.records.clock import Clock, system_clock
from gateway.settings import Settings
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.dynamo.migration import MigrationOptions, migrate_rows
from gateway.upstream.dynamo.migration.pace import Report
from gateway.upstream.dynamo.provision import check_table, describe_table, ensure_table
from gateway.upstream.dynamo.table import Table
from gateway.upstream.s3 import open_source_bucket

CHECK_TIMEOUT_S = 3.0
"""A gateway starts within that time though DynamoDB does not answer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What a migration did, or in a dry run would do."""

    prepared: tuple[str, ...]
    """What was created or enabled, each as in "add the index GSI1"."""
    made: Mapping[str, int]
    """How many rows of which kind were changed."""
    left: Mapping[str, int]
    """How many were passed over, by the reason."""
    problems: tuple[str, ...]
    """What somebody has to do before the gateway can work."""


async def prepare_table(settings: Settings) -> list[str]:
    """Create what is missing of the table and the bucket, and look at no row; answers what was done.

    For a stand-in: a bucket of AWS's own is made with its policies, by whoever keeps these.
    """
    async with open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url) as client:
        done = await ensure_table(client, settings.dynamodb_table_name)
    async with open_source_bucket(
        region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
    ) as bucket:
        if await bucket.ensure(settings.aws_region):
            done.append(f"create the bucket {bucket.name}")
    return done


async def check_prepared(settings: Settings) -> None:
    """Raise TableNotReadyError where the table needs `blue-gateway migrate` first.

    A table that can't be asked for is no reason not to start: DynamoDB may come back, and readiness tells.
    """
    try:
        async with (
            asyncio.timeout(CHECK_TIMEOUT_S),
            open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url) as client,
        ):
            await check_table(client, settings.dynamodb_table_name)
    except TableNotReadyError:
        raise
    except TimeoutError:
        logger.warning("the table could not be checked, the gateway starts without: no answer")
    except DynamoDBError as error:
        logger.warning("the table could not be checked, the gateway starts without: %s", error.message)


async def migrate(
    settings: Settings,
    *,
    rows_per_s: float | None,
    dry_run: bool,
    report: Report,
    clock: Clock = system_clock,
) -> Migration:
    """Prepare the table and the bucket, then migrate the rows; `report` gets lines of progress."""
    name = settings.dynamodb_table_name
    made: Mapping[str, int] = {}
    left: Mapping[str, int] = {}
    async with open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url) as client:
        prepared = await ensure_table(client, name, dry_run=dry_run, report=report)
        description = await describe_table(client, name)
        if description is not None:
            options = MigrationOptions(
                rows_per_s=rows_per_s,
                dry_run=dry_run,
                namespaces=settings.function_namespaces,
                build_timeout_s=settings.build_timeout_s,
            )
            amendments = await migrate_rows(
                client,
                Table(client, name),
                options,
                item_count=description.get("ItemCount", 0),
                clock=clock,
                report=report,
            )
            made, left = amendments.made, amendments.left
    done, problems = await _prepare_bucket(settings, dry_run=dry_run)
    return Migration(
        prepared=(*prepared, *done),
        made=dict(made),
        left={reason: number for reason, number in left.items() if number},
        problems=problems,
    )


async def _prepare_bucket(settings: Settings, *, dry_run: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Create the bucket where it is missing and S3 is a stand-in; answers what was done, and what is wrong."""
    async with open_source_bucket(
        region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
    ) as bucket:
        try:
            if settings.s3_endpoint_url is None:
                await bucket.check()
            elif dry_run:
                if await bucket.is_missing():
                    return (f"create the bucket {bucket.name}",), ()
            elif await bucket.ensure(settings.aws_region):
                return (f"create the bucket {bucket.name}",), ()
        except S3Error as error:
            return (), (f"S3_BUCKET_NAME: {error.message}",)
    return (), ()


def describe(migration: Migration, *, dry_run: bool) -> list[str]:
    """What was done as lines for whoever ran it."""
    done = [f"{'would' if dry_run else 'done:'} {sentence}" for sentence in migration.prepared]
    done += [f"{number:>9,}  {what}" for what, number in sorted(migration.made.items())]
    if not done:
        done = ["nothing to do"]
    elif dry_run:
        done.append("nothing was changed: this was a dry run")
    if migration.left:
        done.append("left as they are:")
        done += [f"{number:>9,}  {reason}" for reason, number in sorted(migration.left.items())]
    return [*done, *(f"to be done by hand: {problem}" for problem in migration.problems)]
