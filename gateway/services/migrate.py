"""Preparing the table and the bucket for the gateway; it can be run again at any time."""

from gateway.settings import Settings
from gateway.upstream.aws import open_dynamodb_client
from gateway.upstream.dynamo.provision import ensure_table
from gateway.upstream.s3 import open_source_bucket


async def prepare_table(settings: Settings) -> list[str]:
    """Create what is missing of the table and the bucket; answers what was done, a sentence each."""
    async with open_dynamodb_client(settings.aws_region, settings.dynamodb_endpoint_url) as client:
        done = await ensure_table(client, settings.dynamodb_table_name)
    async with open_source_bucket(
        region=settings.aws_region, endpoint_url=settings.s3_endpoint_url, name=settings.s3_bucket_name
    ) as bucket:
        if await bucket.ensure(settings.aws_region):
            done.append(f"created the bucket {bucket.name}")
    return done
