"""The sorted keys of a table's partitions, so that a Query or Scan looks at its page and not at the whole table.

moto answers each page by sorting all items of the table: 20,000 rows are hundreds of milliseconds, and a Scan
looks through all pages before its own as well. Here each index of a table has its keys sorted by partition, made
on the first Query or Scan and kept up to date with each write. What a read is handed is its page and what may
follow; filtering, limits and LastEvaluatedKey stay moto's.
"""

import json
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

SortKey = tuple[Any, ...]
Attributes = Callable[[str], DynamoType | None]


class Ordering:
    """The keys of a table (`index_name` None) or of one of its indexes, by partition."""

    def __init__(self, table: Table, schema: list[dict[str, str]]) -> None:
        names = {part["KeyType"]: part["AttributeName"] for part in schema}
        self.hash_attr = names["HASH"]
        self.range_attr = names.get("RANGE")
        self.types = {part["AttributeName"]: part["AttributeType"] for part in table.attr}
        own = [table.hash_key_attr, table.range_key_attr]
        # The range key of the index, then the table's own key, as moto sorts; a name counts once.
        wanted = [self.range_attr or table.range_key_attr, *own]
        self.sort_attrs = [name for name in dict.fromkeys(wanted) if name and name != self.hash_attr]
        self.table = table
        self.partitions: dict[DynamoType, list[SortKey]] = {}
        for hash_key, partition in table.items.items():
            for range_key, item in raw_items(partition):
                self._append(reader_of(item, table, hash_key, range_key))
        for keys in self.partitions.values():
            keys.sort()

    def _append(self, attribute: Attributes) -> None:
        located = self._locate(attribute)
        if located is not None:
            self.partitions.setdefault(located[0], []).append(located[1])

    def _locate(self, attribute: Attributes) -> tuple[DynamoType, SortKey] | None:
        """Partition and sort key of an item; None when it is not in this index, as a wrong type is not."""
        partition = attribute(self.hash_attr)
        if partition is None or partition.type != self.types[self.hash_attr]:
            return None
        key: list[Any] = []
        for name in self.sort_attrs:
            value = attribute(name)
            if value is None or value.type != self.types[name]:
                return None
            key.append(value.cast_value)
        return partition, tuple(key)

    def replace(self, before: Item | None, after: Item | None) -> None:
        """Follow a write: `before` is what the key held, `after` what it holds now."""
        if before is not None and (located := self._locate(before.attrs.get)):
            keys = self.partitions[located[0]]
            del keys[bisect_left(keys, located[1])]
        if after is not None and (located := self._locate(after.attrs.get)):
            insort(self.partitions.setdefault(located[0], []), located[1])

    def page(
        self,
        partition: DynamoType,
        comparison: str | None,
        operands: list[DynamoType],
        start: dict[str, Any] | None,
        *,
        forward: bool,
        limit: int | None,
    ) -> list[Item]:
        """The items a Query has to look at, one more than its page so that moto sees that there is a next one."""
        keys = self.partitions.get(partition, [])
        low, high = self._span(keys, comparison, [operand.cast_value for operand in operands])
        if start is not None:
            after = tuple(DynamoType(start[name]).cast_value for name in self.sort_attrs)
            if forward:
                low = max(low, bisect_right(keys, after))
            else:
                high = min(high, bisect_left(keys, after))
        positions = range(low, high) if forward else range(high - 1, low - 1, -1)
        items: list[Item] = []
        size_bytes = 0
        for position in positions:
            item = self._item(partition, keys[position])
            items.append(item)
            size_bytes += item.size()
            if size_bytes > RESULT_SIZE_LIMIT or (limit is not None and len(items) > limit):
                break
        return items

    def scan_page(self, start: dict[str, Any] | None, limit: int | None) -> list[Item]:
        """The items a Scan of the table has to look at: by hash key and sort key, one more than its page."""
        partitions = sorted(self.partitions, key=_hash_order)
        first, after = 0, None
        if start is not None:
            hash_key = DynamoType(start[self.hash_attr])
            first = bisect_left(partitions, _hash_order(hash_key), key=_hash_order)
            if first < len(partitions) and partitions[first] == hash_key:
                after = tuple(DynamoType(start[name]).cast_value for name in self.sort_attrs)
        items: list[Item] = []
        size_bytes = 0
        for partition in partitions[first:]:
            keys = self.partitions[partition]
            low = 0 if after is None else bisect_right(keys, after)
            after = None
            for key in keys[low:]:
                item = self._item(partition, key)
                items.append(item)
                size_bytes += item.size()
                if size_bytes > RESULT_SIZE_LIMIT or (limit is not None and len(items) > limit):
                    return items
        return items

    def _span(self, keys: list[SortKey], comparison: str | None, operands: list[Any]) -> tuple[int, int]:
        """The positions that satisfy the condition on the range key."""

        def first(key: SortKey) -> Any:
            return key[0]

        match comparison, operands:
            case ("=" | "EQ", [value]):
                return bisect_left(keys, value, key=first), bisect_right(keys, value, key=first)
            case ("BEGINS_WITH", [str(prefix)]):
                size = len(prefix)
                low = bisect_left(keys, prefix, key=first)
                return low, bisect_right(keys, prefix, lo=low, key=lambda key: key[0][:size])
            case ("BETWEEN", [low_value, high_value]):
                return bisect_left(keys, low_value, key=first), bisect_right(keys, high_value, key=first)
            case ("<" | "LT", [value]):
                return 0, bisect_left(keys, value, key=first)
            case ("<=" | "LE", [value]):
                return 0, bisect_right(keys, value, key=first)
            case (">" | "GT", [value]):
                return bisect_right(keys, value, key=first), len(keys)
            case (">=" | "GE", [value]):
                return bisect_left(keys, value, key=first), len(keys)
            case None, _:
                return 0, len(keys)
        raise ValueError(f"{comparison} is no condition on a sort key")

    def _item(self, partition: DynamoType, key: SortKey) -> Item:
        values = dict(zip(self.sort_attrs, key, strict=True)) | {self.hash_attr: partition.cast_value}
        table = self.table
        found: Any = table.items[DynamoType({table.hash_key_type: str(values[table.hash_key_attr])})]
        if table.range_key_attr is None:
            item: Item = found
        else:
            item = found[DynamoType({str(table.range_key_type): str(values[table.range_key_attr])})]
        return item


def _hash_order(hash_key: DynamoType) -> Any:
    """A hash key as moto sorts it; all of a table's are of one type."""
    return hash_key.cast_value


def raw_items(partition: Any) -> Iterable[tuple[DynamoType | None, Item | str]]:
    """What a table holds under one hash key, stored items as the JSON they are stored as."""
    if isinstance(partition, Item):
        return [(None, partition)]
    pairs: Iterable[tuple[DynamoType | None, Item | str]] = dict.items(partition)
    return pairs


def reader_of(item: Item | str, table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Attributes:
    """Look attributes up in an item without making a stored one into objects; keys cost nothing."""
    if isinstance(item, Item):
        attributes: Attributes = item.attrs.get
        return attributes
    known = {table.hash_key_attr: hash_key, table.range_key_attr: range_key}
    parsed: dict[str, Any] = {}

    def attribute(name: str) -> DynamoType | None:
        if name in known:
            return known[name]
        if not parsed:
            parsed.update(json.loads(item))
        return DynamoType(parsed[name]) if name in parsed else None

    return attribute


def orderings(table: Table) -> dict[str, Ordering]:
    """The orderings made so far for a table, by the schema they were made for."""
    made: dict[str, Ordering] = table.__dict__.setdefault("orderings", {})
    return made


def ordering_of(table: Table, index_name: str | None) -> Ordering | None:
    """The ordering a Query can use; None where keys have several parts and moto's own way has to do."""
    if index_name is None:
        schema = table.schema
    else:
        schema = next((index.schema for index in table.all_indexes() if index.name == index_name), [])
    if sorted(part["KeyType"] for part in schema) not in (["HASH"], ["HASH", "RANGE"]):
        return None
    made = orderings(table)
    name = json.dumps(schema)
    if name not in made:
        made[name] = Ordering(table, schema)
    return made[name]


def changed(table: Table, before: Item | None, after: Item | None) -> None:
    """Tell the orderings of a table about a write."""
    for ordering in orderings(table).values():
        ordering.replace(before, after)
