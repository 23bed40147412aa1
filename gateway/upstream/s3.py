"""The bucket: functions' sources and what was uploaded for builds.

`{workspace}/{function}.py` is a function's decoded source, `build-sources/{workspace}/{build}/{filename}` an
upload; `build-artifacts/` is the Builder Service's own.
"""

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import IO, TYPE_CHECKING, Any

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from gateway.errors import S3Error
from gateway.upstream.aws import open_s3_client

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import ObjectIdentifierTypeDef

logger = logging.getLogger(__name__)

MISSING_CODES = frozenset({"NoSuchKey", "404"})
RETRYABLE_CODES = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "503", "500"})
READ_BYTES = 64 * 1024
"""Of an upload at once."""
MAX_DELETED_KEYS = 1000
"""S3's limit for one DeleteObjects."""


class SourceBucket:
    """Reads and writes sources, through the one client of the process."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    async def read_source(self, workspace_id: str, function_id: str) -> bytes | None:
        """A function's source; None where there is none."""
        key = _source_key(workspace_id, function_id)
        try:
            with _translated("GetObject", key):
                answer = await self._client.get_object(Bucket=self.name, Key=key)
                async with answer["Body"] as body:
                    return await body.read()
        except S3Error as error:
            if (error.details or {}).get("awsCode") in MISSING_CODES:
                return None
            raise

    async def write_source(self, workspace_id: str, function_id: str, code: bytes) -> None:
        """Store a function's source, over the one before."""
        key = _source_key(workspace_id, function_id)
        with _translated("PutObject", key):
            await self._client.put_object(
                Bucket=self.name, Key=key, Body=code, ContentType="text/x-python; charset=utf-8"
            )

    async def delete_source(self, workspace_id: str, function_id: str) -> None:
        """Remove a function's source, if there is one."""
        key = _source_key(workspace_id, function_id)
        with _translated("DeleteObject", key):
            await self._client.delete_object(Bucket=self.name, Key=key)

    async def write_upload(self, workspace_id: str, build_id: str, filename: str, file: IO[bytes]) -> str:
        """Store what was uploaded for a build, sent as it is read from its start; answers its `s3://` address."""
        key = f"build-sources/{workspace_id}/{build_id}/{filename}"
        file.seek(0)
        with _translated("PutObject", key):
            await self._client.put_object(Bucket=self.name, Key=key, Body=file)
        return f"s3://{self.name}/{key}"

    async def read_upload(self, address: str, file: IO[bytes]) -> bool:
        """Copy what was uploaded into a file, in parts, and go to its start; False where it is not there."""
        key = address.removeprefix(f"s3://{self.name}/")
        try:
            with _translated("GetObject", key):
                answer = await self._client.get_object(Bucket=self.name, Key=key)
                async with answer["Body"]:
                    while part := await answer["Body"].read(READ_BYTES):
                        file.write(part)
        except S3Error as error:
            if (error.details or {}).get("awsCode") in MISSING_CODES:
                return False
            raise
        file.seek(0)
        return True

    async def has_object(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            with _translated("HeadObject", key):
                await self._client.head_object(Bucket=self.name, Key=key)
        except S3Error as error:
            if (error.details or {}).get("awsCode") in MISSING_CODES:
                return False
            raise
        return True

    async def delete_uploads(self, workspace_id: str, build_id: str | None = None) -> None:
        """Remove what was uploaded for a build, or for all builds of a workspace."""
        await self._delete_prefix(
            f"build-sources/{workspace_id}/{build_id}/" if build_id else f"build-sources/{workspace_id}/"
        )

    async def delete_sources(self, workspace_id: str) -> None:
        """Remove all that is stored for a workspace."""
        await self._delete_prefix(f"{workspace_id}/")
        await self.delete_uploads(workspace_id)

    async def _delete_prefix(self, prefix: str) -> None:
        while True:
            with _translated("ListObjectsV2", prefix):
                page = await self._client.list_objects_v2(
                    Bucket=self.name, Prefix=prefix, MaxKeys=MAX_DELETED_KEYS
                )
            keys: list[ObjectIdentifierTypeDef] = [{"Key": found["Key"]} for found in page.get("Contents", ())]
            if keys:
                with _translated("DeleteObjects", prefix):
                    answer = await self._client.delete_objects(
                        Bucket=self.name, Delete={"Objects": keys, "Quiet": True}
                    )
                if errors := answer.get("Errors"):  # a 200 all the same; what is left would be listed again
                    key, code = errors[0].get("Key", ""), errors[0].get("Code", "")
                    raise _refusal("DeleteObjects", key, code, errors[0].get("Message"))
            if not page["IsTruncated"]:
                return

    async def ensure(self, region: str) -> bool:
        """Create the bucket where it is missing; answers whether it was."""
        if not await self.is_missing():
            return False
        options: Any = {} if region == "us-east-1" else {"LocationConstraint": region}
        with _translated("CreateBucket", self.name):
            await self._client.create_bucket(
                Bucket=self.name, **({"CreateBucketConfiguration": options} if options else {})
            )
        return True

    async def probe(self) -> None:
        """Write, read, list and delete an object of its own, as the gateway does with sources."""
        key = f"blue-gateway-doctor/{uuid.uuid4()}"
        with _translated("PutObject", key):
            await self._client.put_object(Bucket=self.name, Key=key, Body=b"probe")
        try:
            with _translated("GetObject", key):
                answer = await self._client.get_object(Bucket=self.name, Key=key)
                async with answer["Body"] as body:
                    await body.read()
            with _translated("ListObjectsV2", key):
                await self._client.list_objects_v2(Bucket=self.name, Prefix=key, MaxKeys=1)
        finally:
            with _translated("DeleteObject", key):
                await self._client.delete_object(Bucket=self.name, Key=key)

    async def is_missing(self) -> bool:
        """Whether there is no such bucket; S3Error where it is another's."""
        try:
            await self.check()
        except S3Error as error:
            if (error.details or {}).get("awsCode") in {"404", "NoSuchBucket"}:
                return True
            raise
        return False

    async def check(self) -> None:
        """Ask S3 whether the bucket is there and ours."""
        with _translated("HeadBucket", self.name):
            await self._client.head_bucket(Bucket=self.name)


@asynccontextmanager
async def open_source_bucket(*, region: str, endpoint_url: str | None, name: str) -> AsyncIterator[SourceBucket]:
    """Open the bucket for the life of the process."""
    async with open_s3_client(region, endpoint_url) as client:
        yield SourceBucket(client, name)


def _source_key(workspace_id: str, function_id: str) -> str:
    return f"{workspace_id}/{function_id}.py"


def _refusal(operation: str, key: str, code: str, reason: object) -> S3Error:
    # AWS's own words may name accounts and roles: they are for the operator, not for the caller.
    logger.log(logging.DEBUG if code in MISSING_CODES else logging.WARNING, "S3 refused %s: %s", key, reason)
    return S3Error(
        f"S3 refused {operation} on {key}: {code}",
        details={"awsCode": code},
        retryable=code in RETRYABLE_CODES,
    )


@contextmanager
def _translated(operation: str, key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise _refusal(operation, key, code, error) from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        logger.warning("S3 did not answer %s on %s: %r", operation, key, error)
        raise S3Error(f"S3 did not answer {operation} on {key}.", retryable=True) from error
