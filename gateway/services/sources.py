"""Where a function's source is read from: S3, or its row where the former backend left it there alone."""

from gateway.upstream.dynamo import Dynamo
from gateway.upstream.s3 import SourceBucket


class StoredSources:
    """Reads functions' sources."""

    def __init__(self, dynamo: Dynamo, bucket: SourceBucket) -> None:
        self._dynamo = dynamo
        self._bucket = bucket

    async def read(self, workspace_id: str, function_id: str) -> bytes | None:
        """A function's decoded source; None where there is none. S3Error where S3 does not answer."""
        source = await self._bucket.read_source(workspace_id, function_id)
        if source is not None:
            return source
        return await self._dynamo.functions.get_row_code(workspace_id, function_id)
