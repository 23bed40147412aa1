"""A hop before DynamoDB that notes when the writes of builds were answered: from then on a change is stored."""

import asyncio
import re
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

WRITE = re.compile(rb"x-amz-target: DynamoDB_\d+\.(UpdateItem|TransactWriteItems)", re.IGNORECASE)
BUILD = re.compile(rb"BUILD#([\w-]+)")


class StoredTimes:
    """When each build was written."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def last_before(self, build_id: str, moment: float) -> float:
        """The last write of a build that was answered by then."""
        times = self._times[build_id]
        return times[bisect_right(times, moment) - 1]

    def note(self, request: bytes, now: float) -> None:
        """A request was answered."""
        if WRITE.search(request):
            for found in set(BUILD.findall(request)):
                self._times[found.decode()].append(now)


@asynccontextmanager
async def noting(url: str, times: StoredTimes) -> AsyncIterator[str]:
    """Serve the hop; its URL. On a connection one request is under way at a time."""
    target = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further_reader, further_writer = await asyncio.open_connection(target.hostname, target.port)
        request = bytearray()

        async def forth() -> None:
            while data := await reader.read(1 << 16):
                request.extend(data)
                further_writer.write(data)
            further_writer.close()

        async def back() -> None:
            while data := await further_reader.read(1 << 16):
                times.note(bytes(request), time.time())
                request.clear()
                writer.write(data)
            writer.close()

        await asyncio.gather(forth(), back(), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
