"""The builder's objects in S3: the sources it was sent and the artifacts it made."""

import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from gateway.local.builder.source import BuildError

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

_URI = re.compile(r"s3://(?P<bucket>[^/]+)/(?P<key>.+)", re.DOTALL)


class Bucket:
    """The one bucket; objects are named by `s3://{bucket}/{key}` in tasks and bodies."""

    def __init__(self, s3: "S3Client", name: str) -> None:
        self._s3 = s3
        self.name = name

    async def put(self, key: str, content: bytes) -> str:
        """Store an object and answer its URI."""
        await self._s3.put_object(Bucket=self.name, Key=key, Body=content)
        return f"s3://{self.name}/{key}"

    async def get(self, uri: str) -> bytes:
        """Read an object; BuildError where the URI names none."""
        match = _URI.fullmatch(uri)
        if match is None:
            raise BuildError(f"Invalid S3 path: {uri}")
        try:
            answer = await self._s3.get_object(Bucket=match["bucket"], Key=match["key"])
        except ClientError as error:
            raise BuildError(f"Failed to download {uri}: {error}") from error
        async with answer["Body"] as body:
            return await body.read()
