"""What the AWS stand-in keeps on disk: one SQLite database and a folder of object bodies; moto is unknown here.

Every request that wrote is one SQLite transaction. WAL without an fsync per transaction survives `kill -9` whole;
a power cut may take the last moments.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APPLICATION_ID = 0x626C7565  # "blue"
VERSION = 1
TOKEN_LIFE_S = 600.0  # DynamoDB's own: ten minutes
LOCK_WAIT_S = 2.0  # a killed predecessor's lock is gone as soon as the kernel has buried it

SCHEMA = """
CREATE TABLE tables (region TEXT, name TEXT, definition TEXT NOT NULL, PRIMARY KEY (region, name));
CREATE TABLE items (region TEXT, table_name TEXT, key TEXT, item TEXT NOT NULL,
                    PRIMARY KEY (region, table_name, key));
CREATE TABLE tokens (token TEXT PRIMARY KEY, digest TEXT NOT NULL, used_at REAL NOT NULL);
CREATE TABLE buckets (name TEXT PRIMARY KEY, region TEXT NOT NULL);
CREATE TABLE objects (bucket TEXT, name TEXT, body TEXT NOT NULL, properties TEXT NOT NULL,
                      PRIMARY KEY (bucket, name));
"""


class StoreError(Exception):
    """The folder can't be used; the message is one line that says why and what to do."""


class Store:
    """The open database, locked against a second process; use from one thread at a time."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "aws.sqlite"
        self.bodies = data_dir / "objects"
        self._replaced: list[str] = []
        try:
            self.bodies.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()
            self._prepare()
        except OSError as error:
            raise StoreError(f"{data_dir}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def _prepare(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            with self.transaction():
                for statement in SCHEMA.split(";"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version={VERSION}")
        elif (application, version) != (APPLICATION_ID, VERSION):
            raise StoreError(
                f"{self.path}: was written by another version (format {version}, this one reads {VERSION}): "
                "use that version, or move the folder away to start empty"
            )
        with self.transaction():  # takes the lock for good
            self._connection.execute("DELETE FROM tokens WHERE used_at < ?", (time.time() - TOKEN_LIFE_S,))
        self._remove_unreferenced_bodies()

    def _explained(self, error: sqlite3.Error) -> StoreError:
        if "locked" in str(error):
            return StoreError(f"{self.path}: is in use by another process")
        if isinstance(error, sqlite3.OperationalError):
            return StoreError(f"{self.path}: {error}")
        return StoreError(f"{self.path}: is damaged ({error}): move the folder away to start empty")

    def _remove_unreferenced_bodies(self) -> None:
        kept = {body for (body,) in self._connection.execute("SELECT body FROM objects")}
        for path in self.bodies.iterdir():
            if path.name not in kept:
                path.unlink()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is written inside durable together; StoreError when the disk refuses."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._explained(error) from error
        for body in self._replaced:
            (self.bodies / body).unlink(missing_ok=True)
        self._replaced.clear()

    def close(self) -> None:
        """Give the database back, its log merged into it."""
        self._connection.close()

    def rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        """All rows of a SELECT; StoreError when the database is damaged."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def put_table(self, region: str, name: str, definition: str) -> None:
        """Keep a table's definition (JSON)."""
        self._connection.execute("REPLACE INTO tables VALUES (?, ?, ?)", (region, name, definition))

    def delete_table(self, region: str, name: str) -> None:
        """Forget a table and its items."""
        self._connection.execute("DELETE FROM items WHERE region = ? AND table_name = ?", (region, name))
        self._connection.execute("DELETE FROM tables WHERE region = ? AND name = ?", (region, name))

    def put_item(self, region: str, table: str, key: str, item: str | None) -> None:
        """Keep an item (JSON) under its key (JSON), or forget it when it is None."""
        if item is None:
            self._connection.execute(
                "DELETE FROM items WHERE region = ? AND table_name = ? AND key = ?", (region, table, key)
            )
        else:
            self._connection.execute("REPLACE INTO items VALUES (?, ?, ?, ?)", (region, table, key, item))

    def put_token(self, token: str, digest: str, used_at: float) -> None:
        """Keep an idempotency token with the digest of its request; `used_at` is in epoch seconds."""
        self._connection.execute("REPLACE INTO tokens VALUES (?, ?, ?)", (token, digest, used_at))

    def put_bucket(self, name: str, region: str) -> None:
        """Keep a bucket."""
        self._connection.execute("REPLACE INTO buckets VALUES (?, ?)", (name, region))

    def delete_bucket(self, name: str) -> None:
        """Forget a bucket."""
        self._connection.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def put_object(self, bucket: str, name: str, body: bytes, properties: str) -> Path:
        """Keep an object: its body as a file of its own, whose path is answered, the rest as JSON."""
        file = self.bodies / uuid.uuid4().hex
        file.write_bytes(body)
        self.delete_object(bucket, name)
        self._connection.execute("INSERT INTO objects VALUES (?, ?, ?, ?)", (bucket, name, file.name, properties))
        return file

    def delete_object(self, bucket: str, name: str) -> None:
        """Forget an object; its body goes when the transaction is through."""
        found = self.rows("SELECT body FROM objects WHERE bucket = ? AND name = ?", bucket, name)
        self._connection.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
        self._replaced.extend(body for (body,) in found)
