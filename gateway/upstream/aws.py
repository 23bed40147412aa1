"""The AWS session and its clients: one for each service, for the life of the process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, NoCredentialsError

from gateway.settings import SettingsError
from gateway.telemetry import record_call
from gateway.upstream.http import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from gateway.upstream.signing import Credentials

if TYPE_CHECKING:
    from types_aiobotocore_dynamodb.client import DynamoDBClient
    from types_aiobotocore_s3.client import S3Client

MAX_CONNECTIONS = 100
"""More requests than that under way at once wait; a page needs 5."""
MAX_ATTEMPTS = 3
"""Of one request, by the SDK's standard retries with backoff."""


@asynccontextmanager
async def open_dynamodb_client(region: str, endpoint_url: str | None) -> AsyncIterator["DynamoDBClient"]:
    """Open the client of DynamoDB; without an endpoint it is AWS's own. SettingsError where the SDK has none."""
    async with _open_client("dynamodb", region, endpoint_url) as client:
        yield client


@asynccontextmanager
async def open_s3_client(region: str, endpoint_url: str | None) -> AsyncIterator["S3Client"]:
    """The same of S3; with an endpoint, buckets are addressed by path, since it has no names for them."""
    async with _open_client("s3", region, endpoint_url) as client:
        yield client


@asynccontextmanager
async def _open_client(service: str, region: str, endpoint_url: str | None) -> AsyncIterator[Any]:
    config = AioConfig(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=MAX_CONNECTIONS,
        retries={"mode": "standard", "max_attempts": MAX_ATTEMPTS},
        parameter_validation=False,  # the rows are ours: checking them again costs more than sending them
        s3={"addressing_style": "path" if endpoint_url else "auto"},
    )
    async with AsyncExitStack() as stack:
        try:
            opened = _session(region).client(service, endpoint_url=endpoint_url, config=config)
            client = await stack.enter_async_context(opened)
        except BotoCoreError as error:  # a profile that is not there, half of the credentials, a broken file
            raise SettingsError(f"the AWS SDK can't be set up: {error}") from error
        client.meta.events.register(f"before-send.{service}", _record)
        yield client


async def credentials_of(region: str) -> Credentials:
    """The credentials that the SDK found, renewed before they expire; NoCredentialsError where there are none."""
    found = await _session(region).get_credentials()
    frozen = None if found is None else await found.get_frozen_credentials()
    if frozen is None or frozen.access_key is None or frozen.secret_key is None:
        raise NoCredentialsError
    return Credentials(access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token)


@cache
def _session(region: str) -> aioboto3.Session:
    """One session for all clients: it keeps the credentials and the service models, which take 0.2 s to load."""
    return aioboto3.Session(region_name=region)


def _record(event_name: str, **_: object) -> None:
    """Note a request; the event is named `before-send.dynamodb.GetItem`."""
    service, operation = event_name.split(".")[1:]
    record_call(service, operation)
