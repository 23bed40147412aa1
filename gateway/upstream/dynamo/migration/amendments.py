"""The writes of a migration: conditional, paced, counted by what they do, and only counted in a dry run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.upstream.dynamo.errors import ConditionFailedError
from gateway.upstream.dynamo.expressions import Check, Condition, Delete, Put, Update, Write, equals, not_exists
from gateway.upstream.dynamo.migration.pace import Pace, Report, patiently
from gateway.upstream.dynamo.table import Table


class Amendments:
    """Makes changes of rows and keeps count; `left` counts what was passed over, by the reason."""

    def __init__(
        self, table: Table, pace: Pace, report: Report, *, dry_run: bool, reading: Pace | None = None
    ) -> None:
        self._table = table
        self._pace = pace
        self._reading = reading
        self.report = report
        self.dry_run = dry_run
        self.made: Counter[str] = Counter()
        self.left: Counter[str] = Counter()

    async def make(self, writes: Sequence[Write], *what: str) -> bool:
        """Make the writes, all or none; False where a row has changed meanwhile and nothing was written."""
        changes = [write for write in writes if not isinstance(write, Check)]
        if not changes:
            return True
        if not self.dry_run:
            await self._pace.take(len(changes))
            try:
                await patiently(lambda: self._write(writes), self.report)
            except ConditionFailedError:
                return False
        self.made.update(what)
        return True

    async def pace_reads(self, rows: int) -> None:
        """Wait until so many rows that were read are paid for."""
        if self._reading is not None:
            await self._reading.take(rows)

    async def _write(self, writes: Sequence[Write]) -> None:
        match writes:
            case [Put() | Update() | Delete() as single]:  # half the price of a transaction
                await self._table.write(single)
            case _:
                await self._table.transact(writes)


def unchanged(item: dict[str, Any], names: Iterable[str]) -> list[Condition]:
    """Each of the attributes is still as it was read, absent included."""
    return [equals(name, item[name]) if name in item else not_exists(name) for name in names]
