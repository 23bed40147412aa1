"""moto's code at the places that patches.py changes: a new moto has to be looked at before it is used."""

import hashlib
import inspect
from typing import Any

import pytest
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node  # type: ignore[attr-defined]
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import FakeKey, S3Backend

from gateway.local.aws.patches import PATCHES

KNOWN: list[tuple[Any, str]] = [
    (ActionCountValidator.verify_action_counts, "8cd8c9a3ae3a"),
    (vars(BaseJSONSerializer)["_serialize_type_structure"], "36873909cd0a"),
    (DepthFirstTraverser.traverse_node_recursively, "d7f01d9b45cf"),
    (DomainDispatcherApplication.get_backend_for_host, "1f41972c1e4e"),
    (DynamoDBBackend.query, "b8f2b308cd13"),
    (DynamoDBBackend.scan, "9b5227800f9a"),
    (DynamoDBBackend.transact_write_items, "81db2cb7d94e"),
    (DynamoDBBackend.update_item, "218984588dd6"),
    (DynamoHandler.transact_write_items, "61c163fff213"),
    (DynamoType.__hash__, "4d37bb816ded"),
    (vars(DynamoType)["cast_value"].fget, "135da387dfcc"),
    (FakeKey.__init__, "cd9d1347667a"),
    (vars(FakeKey)["value"].fget, "5e9a53c3d82c"),
    (FakeKey.dispose, "3e18a93bddaa"),
    (Item.__init__, "d9c12b62cb92"),
    (Item.__deepcopy__, "7621d16ad7ce"),
    (Item.project, "f411e6d8b568"),
    (LimitedSizeDict, "c956079ac955"),
    (Node.find_clauses, "b77be7ac447d"),
    (OverlappingPathsValidator.check_for_overlapping_paths, "2488117d3c3a"),
    (S3Backend.copy_object, "e63e9144071c"),
    (S3Backend.create_bucket, "f7ecc576c5d2"),
    (S3Backend.delete_bucket, "5507210f9b04"),
    (S3Backend.delete_object, "5c1677b52971"),
    (S3Backend.put_object, "db803f2da9d7"),
    (S3Backend.complete_multipart_upload, "f16c9a08e5db"),
    (Table.__init__, "a56181a75aa2"),
    (Table.all_items, "c80d2ee3c896"),
    (Table.delete_item, "1594f7b07616"),
    (Table.get_item, "b08e98fe37b7"),
    (Table.put_item, "de23933013ef"),
    (Table.query, "002b4d00be6d"),
    (Table.scan, "5ef1ab21eef0"),
    (Table.sorted_items, "216dac1cd6b6"),
]


@pytest.mark.parametrize(("code", "digest"), KNOWN)
def test_moto_is_what_the_patches_were_written_for(code: Any, digest: str) -> None:
    """The source is the one that was read; otherwise read the new one, adapt the patch, note its digest here."""
    assert digest_of(code) == digest


def test_every_patch_is_watched() -> None:
    """A patch without a digest above would break silently."""
    watched = {code.__qualname__ for code, _ in KNOWN}
    assert {f"{owner.__name__}.{name}" for owner, name, _ in PATCHES} <= watched


def digest_of(code: Any) -> str:
    """The first 12 digits of the source's SHA-256."""
    return hashlib.sha256(inspect.getsource(code).encode()).hexdigest()[:12]
