"""moto's S3 buckets and objects to the store and back; bodies stay in their files until they are read.

Versions, tags, access lists and bucket policies are not kept: the platform uses none of them.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, S3Backend, s3_backends

from gateway.local.aws.store import Store, StoreError

PARTITION = "aws"
KEPT = ("encryption", "checksum_algorithm", "checksum_type", "checksum_value", "checksum_parts")


class StoredBody:
    """An object's body in its file, with as much of a file's interface as moto uses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0

    def seek(self, position: int) -> None:
        """Read from `position` next."""
        self.position = position

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, all by default."""
        with self.path.open("rb") as body:
            body.seek(self.position)
            data = body.read(size)
        self.position += len(data)
        return data

    def close(self) -> None:
        """Nothing is open between two reads."""


def backend() -> S3Backend:
    """The one backend that holds all buckets of the partition."""
    return s3_backends[DEFAULT_ACCOUNT_ID][PARTITION]


def save_bucket(store: Store, name: str) -> None:
    """Keep or forget a bucket, whichever moto did; to be called inside a transaction."""
    bucket = backend().buckets.get(name)
    if bucket is None:
        store.delete_bucket(name)
    else:
        store.put_bucket(name, bucket.region_name)


def save_object(store: Store, bucket_name: str, name: str) -> None:
    """Keep or forget an object, whichever moto did, and leave its body to the file; inside a transaction."""
    bucket = backend().buckets.get(bucket_name)
    key = bucket.keys.get(name) if bucket is not None else None
    if not isinstance(key, FakeKey):
        store.delete_object(bucket_name, name)
        return
    properties = {
        "etag": key.etag.strip('"'),
        "size": key.size,
        "metadata": dict(key.metadata),
        "last_modified": key.last_modified.isoformat(),
        "storage": key.storage_class,
        **{attribute: getattr(key, attribute) for attribute in KEPT},
    }
    path = store.put_object(bucket_name, name, key.value, json.dumps(properties))
    if key.multipart is not None:
        key.multipart.dispose()
        key.multipart = None
    _use_file(key, path, key.size)


def _use_file(key: FakeKey, path: Path, size_bytes: int) -> None:
    key._value_buffer.close()  # noqa: SLF001 - the one place where moto holds a body
    setattr(key, "_value_buffer", StoredBody(path))  # noqa: B010 - a file of ours in place of moto's temporary one
    key.contentsize = size_bytes


def restore_objects(store: Store) -> None:
    """Fill moto's empty backend with the buckets and objects of the store."""
    buckets = backend().buckets
    try:
        for name, region in store.rows("SELECT name, region FROM buckets ORDER BY rowid"):
            backend().create_bucket(name, region)
        for bucket, name, body, properties in store.rows("SELECT * FROM objects"):
            if bucket in buckets:
                key = _restored_key(bucket, name, store.bodies / body, json.loads(properties))
                buckets[bucket].keys.setlist(name, [key])
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(
            f"{store.path}: the objects can't be read ({error!r}): move the folder away to start empty"
        ) from error


def _restored_key(bucket: str, name: str, path: Path, properties: dict[str, Any]) -> FakeKey:
    key = FakeKey(
        name=name,
        bucket_name=bucket,
        value=b"",
        account_id=DEFAULT_ACCOUNT_ID,
        region_name=PARTITION,
        storage=properties["storage"],
        etag=properties["etag"],
        version_id="null",
    )
    for attribute in KEPT:
        setattr(key, attribute, properties[attribute])
    key.set_metadata(properties["metadata"], replace=False)
    key.last_modified = datetime.fromisoformat(properties["last_modified"])
    _use_file(key, path, properties["size"])
    return key
