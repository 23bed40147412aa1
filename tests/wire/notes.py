"""Notes as the wire tests' schema shows them."""

import strawberry

from schema.context import Info
from tests.wire.numbers import Note
from tests.wire.seen import RowLoader


@strawberry.type
class Noted:
    """A note, with fields that are read, that take arguments, and that fail."""

    sequence: int
    text: str

    @strawberry.field
    async def row(self, info: Info) -> int | None:
        """Read through a loader, which is noted for each."""
        return await info.context.loader(RowLoader).load(self.sequence)

    @strawberry.field
    def times(self, factor: int) -> int:
        """The number, multiplied."""
        return self.sequence * factor

    @strawberry.field
    def broken(self) -> str | None:
        """Fail as nobody expects."""
        raise RuntimeError("password=hunter2")

    @classmethod
    def from_record(cls, record: Note) -> "Noted":
        """Make the type of a record."""
        return cls(sequence=record.sequence, text=record.text)
