"""Every place where moto is changed, each with its reason; nothing else of the project alters moto's behaviour.

Those that answer the same in less time, one method for another, are written in shortcuts.py.

`test_moto_internals.py` fails when moto's own code at these places is not what it was when they were written.
"""

import copy
import functools
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import S3Backend

from gateway.local.aws.changes import Changes
from gateway.local.aws.ordering import ordering_of
from gateway.local.aws.shortcuts import (
    Method,
    check_whole_expression,
    project_by_name,
    remember_hosts,
    serialize_attributes_at_once,
)


def apply(changes: Changes) -> None:
    """Patch moto's classes for the life of this process; what they write is noted in `changes`."""
    for owner, name, make in PATCHES:
        original = getattr(owner, name)
        setattr(owner, name, functools.wraps(original)(make(original, changes)))
    _narrow_reads()
    _copy_no_table_in_a_transaction(changes)


def _note_put_item(original: Method, changes: Changes) -> Method:
    """PutItem, BatchWriteItem and transactions end here: the item is to be stored, and undone on failure."""

    def put_item(self: Table, item_attrs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        keys = [item_attrs.get(name) for name in self.table_key_attrs]
        if all(keys):  # a missing key is moto's to refuse
            key = [DynamoType(part) for part in keys if part is not None]
            changes.touch_item(self, (key[0], key[1] if len(key) > 1 else None))
        return original(self, item_attrs, *args, **kwargs)

    return put_item


def _note_delete_item(original: Method, changes: Changes) -> Method:
    """The same for deletions."""

    def delete_item(self: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Any:
        changes.touch_item(self, (hash_key, range_key))
        return original(self, hash_key, range_key)

    return delete_item


def _note_update_item(original: Method, changes: Changes) -> Method:
    """UpdateItem changes the item in place, so that it has to be copied before."""

    def update_item(self: DynamoDBBackend, table_name: str, key: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        table = self.get_table(table_name)
        changes.touch_item(table, self.get_keys_value(table, key))
        return original(self, table_name, key, *args, **kwargs)

    return update_item


def _remember_tokens(original: Method, changes: Changes) -> Method:
    """moto ignores ClientRequestToken: a transaction retried after a lost answer would be applied twice."""

    def transact_write_items(self: DynamoHandler) -> Any:
        token = self.body.get("ClientRequestToken")
        try:
            if token and changes.is_repeated(token, {"TransactItems": self.body["TransactItems"]}):
                return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
        except ValueError as error:
            raise JsonRESTError(
                "IdempotentParameterMismatchException",
                "Request parameters do not match the parameters of the earlier request with this token",
            ) from error
        return original(self)

    return transact_write_items


def _note_bucket(original: Method, changes: Changes) -> Method:
    """CreateBucket and DeleteBucket: the bucket is to be stored or forgotten."""

    def write(self: S3Backend, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
        changes.touch_bucket(bucket_name)
        return original(self, bucket_name, *args, **kwargs)

    return write


def _note_object(original: Method, changes: Changes) -> Method:
    """PutObject, a completed multipart upload and deletions: the object is to be stored or forgotten."""

    def write(self: S3Backend, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
        changes.touch_object(bucket_name, key_name)
        return original(self, bucket_name, key_name, *args, **kwargs)

    return write


def _note_copy(original: Method, changes: Changes) -> Method:
    """CopyObject names its destination after its source."""

    def copy_object(
        self: S3Backend, src_key: Any, dest_bucket_name: str, dest_key_name: str, *args: Any, **kwargs: Any
    ) -> Any:
        changes.touch_object(dest_bucket_name, dest_key_name)
        return original(self, src_key, dest_bucket_name, dest_key_name, *args, **kwargs)

    return copy_object


PATCHES: tuple[tuple[type, str, Callable[[Method, Changes], Method]], ...] = (
    (Table, "put_item", _note_put_item),
    (Table, "delete_item", _note_delete_item),
    (DynamoDBBackend, "update_item", _note_update_item),
    (DynamoHandler, "transact_write_items", _remember_tokens),
    (BaseJSONSerializer, "_serialize_type_structure", serialize_attributes_at_once),
    (Item, "project", project_by_name),
    (ActionCountValidator, "verify_action_counts", check_whole_expression),
    (OverlappingPathsValidator, "check_for_overlapping_paths", check_whole_expression),
    (DomainDispatcherApplication, "get_backend_for_host", remember_hosts),
    (S3Backend, "create_bucket", _note_bucket),
    (S3Backend, "delete_bucket", _note_bucket),
    (S3Backend, "put_object", _note_object),
    (S3Backend, "delete_object", _note_object),
    (S3Backend, "copy_object", _note_copy),
)


def _narrow_reads() -> None:
    """Query and Scan start from all_items(), all sorted, for every page: hand them the page's items instead."""
    query, scan, all_items = Table.query, Table.scan, Table.all_items
    page: list[list[Item]] = []
    # A legacy QueryFilter comes as further keywords, and moto counts its page differently then.
    usual = {"hash_key_conditions", "range_key_conditions"}

    def narrowed(items: list[Item], original: Callable[[], Any]) -> Any:
        page.append(items)
        try:
            return original()
        finally:
            page.pop()

    @functools.wraps(all_items)
    def narrowed_items(self: Table) -> Any:
        return page[-1] if page else all_items(self)

    @functools.wraps(query)
    def narrowed_query(self: Table, *args: Any, **others: Any) -> Any:
        # DynamoDBBackend.query, the only caller, names none of these.
        hash_key, comparison, operands, limit, start, forward, _projection, index_name, *_ = args
        ordering = ordering_of(self, index_name) if hash_key is not None and others.keys() <= usual else None
        if ordering is None:
            return query(self, *args, **others)
        items = ordering.page(hash_key, comparison, operands, start, forward=forward, limit=limit)
        return narrowed(items, lambda: query(self, *args, **others))

    @functools.wraps(scan)
    def narrowed_scan(self: Table, *args: Any, **others: Any) -> Any:
        # The same for DynamoDBBackend.scan. What a legacy ScanFilter or a segment leaves out is not in the page.
        filters, limit, start, _filter, index_name, *_ = args
        plain = not filters and index_name is None and others == {"segments": (None, None)}
        ordering = ordering_of(self, None) if plain else None
        if ordering is None:
            return scan(self, *args, **others)
        return narrowed(ordering.scan_page(start, limit), lambda: scan(self, *args))

    setattr(Table, "query", narrowed_query)  # noqa: B010 - a patch: mypy refuses the plain assignment
    setattr(Table, "scan", narrowed_scan)  # noqa: B010 - the same
    setattr(Table, "all_items", narrowed_items)  # noqa: B010 - the same


def _copy_no_table_in_a_transaction(changes: Changes) -> None:
    """transact_write_items copies the whole table for each item (1 s at 20,000 rows): the noted items do."""
    transact: Method = DynamoDBBackend.transact_write_items
    inside: list[bool] = []

    def deepcopy_table(self: Table, memo: dict[int, Any]) -> Any:
        if inside:
            return self
        copied: Any = object.__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    @functools.wraps(transact)
    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        inside.append(True)
        try:
            transact(self, transact_items)
        except BaseException:
            changes.undo()
            raise
        finally:
            inside.pop()

    setattr(Table, "__deepcopy__", deepcopy_table)  # noqa: B010 - the same
    setattr(DynamoDBBackend, "transact_write_items", transact_write_items)  # noqa: B010 - the same
