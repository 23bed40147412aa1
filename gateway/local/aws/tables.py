"""moto's DynamoDB tables to the store and back: definitions and items as JSON, parsed when first asked for.

Making 20,000 of moto's item objects takes seconds; keeping their JSON until somebody reads them a fraction of one.
"""

import base64
import functools
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

from gateway.local.aws.store import Store, StoreError

Key = tuple[DynamoType, DynamoType | None]


class StoredPartition(dict[DynamoType, Any]):
    """The items under one hash key; a value is an item, or its JSON until it is read."""

    def __getitem__(self, key: DynamoType) -> Item:
        value = super().__getitem__(key)
        if isinstance(value, str):
            hash_key = DynamoType(json.loads(value)[self.hash_attr])
            value = self[key] = item_of(hash_key, key, value)
        item: Item = value
        return item

    def __init__(self, hash_attr: str) -> None:
        super().__init__()
        self.hash_attr = hash_attr

    def pop(self, key: DynamoType, *default: Any) -> Any:
        """Take an item out, as dict.pop does."""
        if key not in self and default:
            return default[0]
        item = self[key]
        del self[key]
        return item

    def values(self) -> Any:
        """The items, all of them made."""
        return [self[key] for key in self]


def item_of(hash_key: DynamoType, range_key: DynamoType | None, stored: str) -> Item:
    """Make moto's item from its JSON, past the size check it passed when it was written."""
    item: Any = object.__new__(Item)
    item.hash_key = hash_key
    item.range_key = range_key
    item.attrs = LimitedSizeDict()
    for name, value in json.loads(stored).items():
        dict.__setitem__(item.attrs, name, DynamoType(value))
    made: Item = item
    return made


def item_json(item: Item) -> str:
    """An item as JSON of DynamoDB's own form, `{"PK": {"S": "…"}, …}`."""
    return json.dumps({name: _attribute(value) for name, value in item.attrs.items()}, separators=(",", ":"))


def _attribute(value: DynamoType) -> dict[str, Any]:
    inner: Any = value.value
    if isinstance(inner, dict):
        inner = {name: _attribute(child) for name, child in inner.items()}
    elif isinstance(inner, list):
        inner = [_attribute(child) if isinstance(child, DynamoType) else child for child in inner]
    elif isinstance(inner, bytes):
        inner = base64.b64encode(inner).decode()
    return {value.type: inner}


def key_json(key: Key) -> str:
    """An item's key as JSON, the same for equal keys."""
    return json.dumps([_attribute(part) if part is not None else None for part in key], separators=(",", ":"))


def definition_json(table: Table) -> str:
    """What a table was created with and what was changed since, without its items."""
    return json.dumps(
        {
            "schema": table.schema,
            "attr": table.attr,
            "throughput": table.throughput,
            "billing_mode": table.billing_mode,
            "indexes": [index.describe() for index in table.indexes],
            "global_indexes": [index.describe() for index in table.global_indexes],
            "tags": table.tags,
            "deletion_protection_enabled": table.deletion_protection_enabled,
            "ttl": table.ttl,
            "created_at": table.created_at.isoformat(),
        },
        sort_keys=True,
    )


def all_tables() -> Iterable[Table]:
    """Every table moto holds, of all regions."""
    for backend in dynamodb_backends[DEFAULT_ACCOUNT_ID].values():
        yield from backend.tables.values()


def save_definitions(store: Store) -> None:
    """Bring the stored definitions up to what moto holds; to be called inside a transaction."""
    stored = {(region, name): text for region, name, text in store.rows("SELECT * FROM tables")}
    for table in all_tables():
        definition = definition_json(table)
        if stored.pop((table.region_name, table.name), None) != definition:
            store.put_table(table.region_name, table.name, definition)
    for region, name in stored:
        store.delete_table(region, name)


def restore_tables(store: Store) -> None:
    """Fill moto's empty backends with the tables and items of the store."""
    for region, name, text in store.rows("SELECT region, name, definition FROM tables ORDER BY rowid"):
        try:
            _restore_table(store, region, name, json.loads(text))
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(
                f"{store.path}: table {name} can't be read ({error!r}): move the folder away to start empty"
            ) from error


def _restore_table(store: Store, region: str, name: str, definition: dict[str, Any]) -> None:
    ttl = definition.pop("ttl")
    created_at = datetime.fromisoformat(definition.pop("created_at"))
    # describe() says ProvisionedThroughput and WarmThroughput where CreateTable takes them: it can be fed back.
    backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][region]
    not_kept: dict[str, Any] = {"streams": None, "sse_specification": None, "warm_throughput": None}
    table = backend.create_table(name, **definition, **not_kept)
    table.ttl = ttl
    table.created_at = created_at
    rows = store.rows("SELECT key, item FROM items WHERE region = ? AND table_name = ?", region, name)
    items: defaultdict[DynamoType, Any] = defaultdict(functools.partial(StoredPartition, table.hash_key_attr))
    for key, item in rows:
        hash_json, range_json = json.loads(key)
        hash_key = DynamoType(hash_json)
        if range_json is None:
            items[hash_key] = item_of(hash_key, None, item)
        else:
            items[hash_key][DynamoType(range_json)] = item
    table.items = items
