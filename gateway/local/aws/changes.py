"""What one request wrote: noted while it is served, then made durable together, or undone when it failed.

Requests are served one at a time (server.py), so that one list is enough.
"""

import copy
import hashlib
import json
import time
from typing import Any

from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from gateway.local.aws import ordering
from gateway.local.aws.objects import save_bucket, save_object
from gateway.local.aws.store import TOKEN_LIFE_S, Store
from gateway.local.aws.tables import Key, item_json, key_json, save_definitions


class Changes:
    """What the current request has touched, each item with what it was before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._items: dict[tuple[Table, Key], Item | None] = {}
        self._objects: dict[tuple[str, str], None] = {}
        self._buckets: dict[str, None] = {}
        self._token: tuple[str, str] | None = None
        self.definitions_changed = False

    def touch_item(self, table: Table, key: Key) -> None:
        """Note an item before it is put, deleted or changed in place."""
        if (table, key) not in self._items:
            self._items[table, key] = copy.deepcopy(table.get_item(*key))

    def touch_object(self, bucket: str, name: str) -> None:
        """Note an object that is written, copied over or deleted."""
        self._objects[bucket, name] = None

    def touch_bucket(self, name: str) -> None:
        """Note a bucket that is made or deleted."""
        self._buckets[name] = None

    def is_repeated(self, token: str, request: dict[str, Any]) -> bool:
        """Whether this transaction was done under its token before; ValueError when it was another one."""
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        since = str(time.time() - TOKEN_LIFE_S)
        rows = self._store.rows(
            "SELECT digest FROM tokens WHERE token = ? AND used_at > CAST(? AS REAL)", token, since
        )
        if not rows:
            self._token = (token, digest)
            return False
        if rows[0][0] != digest:
            raise ValueError(token)
        return True

    def undo(self) -> None:
        """Give every touched item its former value, and forget the rest."""
        for (table, (hash_key, range_key)), before in self._items.items():
            holder: Any = table.items if range_key is None else table.items[hash_key]
            key = hash_key if range_key is None else range_key
            if before is None:
                holder.pop(key, None)
            else:
                holder[key] = before
        self._clear()

    def commit(self) -> None:
        """Make everything that was touched durable, and tell the orderings; StoreError when the disk refuses."""
        if self._items or self._objects or self._buckets or self._token or self.definitions_changed:
            with self._store.transaction():
                self._save()
        self._clear()

    def _save(self) -> None:
        if self.definitions_changed:
            save_definitions(self._store)
        for (table, key), before in self._items.items():
            after = table.get_item(*key)
            stored = None if after is None else item_json(after)
            self._store.put_item(table.region_name, table.name, key_json(key), stored)
            ordering.changed(table, before, after)
        for bucket in self._buckets:
            save_bucket(self._store, bucket)
        for bucket, name in self._objects:
            save_object(self._store, bucket, name)
        if self._token is not None:
            self._store.put_token(*self._token, time.time())

    def _clear(self) -> None:
        self._items.clear()
        self._objects.clear()
        self._buckets.clear()
        self._token = None
        self.definitions_changed = False
