"""A small schema with something of each kind that the wire tests need."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from typing import cast

import orjson
import strawberry
from starlette.datastructures import UploadFile
from strawberry.file_uploads import Upload
from strawberry.scalars import JSON

from gateway.errors import ConflictError, InvalidInputError, LokiConnectionError
from schema.context import Info
from schema.scalars import Base64Bytes
from schema.subscriptions import NumberedEvents
from tests.wire.notes import Noted
from tests.wire.seen import RowLoader, counted, watched


@strawberry.input
class Tag:
    """A part of the input, to see paths into lists."""

    name: str
    size: int = 1


@strawberry.input
class ThingInput:
    """The input of a mutation."""

    name: str
    memory: int = 128
    code: Base64Bytes | None = None
    tags: list[Tag] | None = None


@strawberry.type
class Page:
    """A page that nests."""

    @strawberry.field
    def pages(self, first: int = 50) -> "list[Page]":  # noqa: ARG002  # only the limits look at it
        """More of it; none in fact."""
        return []

    @strawberry.field
    def some(self, ids: list[int]) -> "list[Page]":  # noqa: ARG002  # only the limits look at it
        """As many as there are ids; none in fact."""
        return []

    name: str = "page"


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field
    def hello(self, name: str = "world") -> str:
        """Greet."""
        return f"hello {name}"

    @strawberry.field
    async def row(self, info: Info, key: int) -> int | None:
        """Read through a loader."""
        watched(info).contexts.append(info.context)
        return await info.context.loader(RowLoader).load(key)

    @strawberry.field
    def tasks(self) -> int:
        """How many tasks the server has."""
        return len(asyncio.all_tasks())

    @strawberry.field
    def echo(self, value: JSON) -> JSON:
        """Give a value back."""
        return value

    @strawberry.field
    def stored(self) -> JSON:
        """JSON text as it was stored."""
        return cast("JSON", orjson.Fragment(b'{"exact":1.10000000000000000000000001}'))

    @strawberry.field
    def page(self) -> Page:
        """Start of a deep query."""
        return Page()

    @strawberry.field
    async def slow(self) -> str:
        """Take longer than a query may."""
        await asyncio.sleep(60)
        return "late"

    @strawberry.field
    async def brief(self) -> str:
        """Take a moment."""
        await asyncio.sleep(0.6)
        return "done"

    @strawberry.field
    def conflict(self) -> str | None:
        """Fail as the gateway does."""
        raise ConflictError("It is under way.", details={"buildId": "b-1"})

    @strawberry.field
    def loki(self) -> str | None:
        """Fail as an upstream does."""
        raise LokiConnectionError("Loki did not answer.")

    @strawberry.field
    def broken(self) -> str | None:
        """Fail as nobody expects."""
        raise RuntimeError("password=hunter2")

    @strawberry.field
    def broken_required(self) -> str:
        """Fail where null can't be."""
        raise RuntimeError("password=hunter2")


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    def create(self, info: Info, input: ThingInput) -> str:
        """Make a thing."""
        if input.memory > 1024:
            raise InvalidInputError("memory is 128 to 1024.", field="memory")
        watched(info).mutated += 1
        return input.name

    @strawberry.mutation
    def publish(self, info: Info, topic: str, texts: list[str]) -> bool:
        """Tell those who watch a topic."""
        for text in texts:
            watched(info).topics[topic].publish(text)
        return True

    @strawberry.mutation
    def end(self, info: Info, topic: str, lost: bool = False) -> bool:
        """Let a topic end, or be lost."""
        found = watched(info).topics[topic]
        found.ended, found.lost = not lost, lost
        found.tell()
        return True

    @strawberry.mutation
    async def upload(self, file: Upload) -> int:
        """Count the bytes of a file."""
        return len(await cast("UploadFile", file).read())


@strawberry.type
class Subscription:
    """What can be watched."""

    @strawberry.subscription
    async def count(self, info: Info, to: int = 3) -> AsyncGenerator[int, None]:
        """Count, then end."""
        with counted(watched(info)):
            for number in range(1, to + 1):
                yield number

    @strawberry.subscription
    async def silent(self, info: Info) -> AsyncGenerator[int, None]:
        """Send one result, then nothing for long."""
        with counted(watched(info)):
            yield 1
            await asyncio.sleep(600)

    @strawberry.subscription
    def notes(self, info: Info, topic: str, after: int | None = None) -> AsyncIterable[Noted]:
        """Watch a topic along with others."""
        return NumberedEvents(watched(info).topics[topic].watch, Noted.from_record, after)

    @strawberry.subscription
    async def fails(self, first: int = 0) -> AsyncGenerator[int, None]:
        """Fail before the first result or after some."""
        for number in range(first):
            yield number
        raise RuntimeError("password=hunter2")

    @strawberry.subscription
    async def conflicts(self, results: int = 0) -> AsyncGenerator[int, None]:
        """Fail as the gateway does, before the first result or later."""
        for number in range(results):
            yield number
        raise ConflictError("Nothing to watch.")

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        """Break for a while, after a result."""
        yield 0
        raise LokiConnectionError("Loki did not answer.", retryable=True)

    @strawberry.subscription
    async def rows(self, info: Info, key: int) -> AsyncGenerator[int, None]:
        """Read the same row for two events."""
        for _ in range(2):
            info.context.clear_loaders()
            yield await info.context.loader(RowLoader).load(key) or 0
