"""moto's WSGI application behind a lock: one request at a time, durable before it is answered."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

from gateway.local.aws import patches
from gateway.local.aws.changes import Changes
from gateway.local.aws.objects import restore_objects
from gateway.local.aws.store import Store, StoreError
from gateway.local.aws.tables import restore_tables

ITEM_OPERATIONS = {
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "DescribeTable",
    "GetItem",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
}

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class DurableApplication:
    """A WSGI application around moto's: serialises requests, then commits or undoes what each one wrote."""

    def __init__(self, inner: Any, changes: Changes) -> None:
        self._inner = inner
        self._changes = changes
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        # Read before the lock is taken: a caller that stalls holds nobody else up.
        environ["wsgi.input"] = BytesIO(get_input_stream(environ).read())
        environ["wsgi.input_terminated"] = True
        status: list[str] = []

        def note_status(line: str, *args: Any) -> Any:
            status.append(line)
            return start_response(line, *args)

        with self.lock:
            operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
            self._changes.definitions_changed = bool(operation) and operation not in ITEM_OPERATIONS
            try:
                body = b"".join(self._inner(environ, note_status))
            except BaseException:
                self._changes.undo()
                raise
            if status[-1] < "400":
                self._commit()
            else:
                self._changes.undo()
        return [body]

    def _commit(self) -> None:
        try:
            self._changes.commit()
        except StoreError as error:
            # Memory is ahead of the disk now. The platform starts this process again from what is stored.
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(1)


def serve_aws(fd: int, data_dir: Path, *, around: Callable[[Application], Application] | None = None) -> None:
    """Serve DynamoDB and S3 on the listening socket `fd` from what `data_dir` holds; StoreError when it can't.

    `around` makes the application that is served out of the stand-in's, for tests that look at the requests.
    """
    store = Store(data_dir)
    restore_tables(store)
    restore_objects(store)
    changes = Changes(store)
    patches.apply(changes)
    application = DurableApplication(DomainDispatcherApplication(create_backend_app), changes)
    served = application if around is None else around(application)
    server = make_server("127.0.0.1", 0, served, threaded=True, request_handler=QuietRequestHandler, fd=fd)
    try:
        server.serve_forever()
    finally:
        with application.lock:  # what is being written is finished
            store.close()


class QuietRequestHandler(MotoRequestHandler):
    """moto's handler without a log line per request."""

    def log_request(self, *args: Any) -> None:
        """Say nothing; errors are still logged."""
