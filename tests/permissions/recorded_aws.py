"""`python -m tests.permissions.recorded_aws --fd N --data-dir DIR`: the AWS stand-in, noting what it is asked for.

Each line of DIR/permissions.jsonl is a permission that a role has used for the first time. Who calls is told by
the address: `{url}/as/{role}`, without it `serve`. What the tests ask for themselves comes from the blocking SDK,
which the gateway does not have, and is not noted.
"""

import json
import re
import signal
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

from werkzeug.wsgi import get_input_stream

from gateway.local.aws.server import Application, StartResponse, serve_aws
from gateway.local.serving import stand_in_arguments
from tests.permissions.actions import Permission, of_dynamodb, of_s3
from tests.permissions.policies import RECORD

GATEWAYS_CLIENTS = ("aiobotocore/", "aiohttp/")
_ROLE = re.compile(r"/as/([a-z]+)(?=/|\?|$)")


class RecordingApplication:
    """A WSGI application around the stand-in's."""

    def __init__(self, inner: Application, file: TextIO) -> None:
        self._inner = inner
        self._file = file
        self._noted: set[tuple[str, Permission]] = set()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Note a request, then have it served at the address without the role."""
        body = get_input_stream(environ).read()
        environ["wsgi.input"], environ["wsgi.input_terminated"] = BytesIO(body), True
        found = _ROLE.match(environ["PATH_INFO"])
        for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
            environ[name] = _ROLE.sub("", environ[name], count=1) or "/"
        if any(client in environ.get("HTTP_USER_AGENT", "") for client in GATEWAYS_CLIENTS):
            self._note(found[1] if found else "serve", environ, body)
        return self._inner(environ, start_response)

    def _note(self, role: str, environ: dict[str, Any], body: bytes) -> None:
        target = environ.get("HTTP_X_AMZ_TARGET")
        try:
            if target is not None:
                needed = of_dynamodb(target.rpartition(".")[2], body)
            else:
                needed = of_s3(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
        except (ValueError, KeyError) as error:
            needed = {Permission(f"unknown: {error!r}", "")}
        for permission in needed - {noted for by, noted in self._noted if by == role}:
            self._noted.add((role, permission))
            self._file.write(json.dumps([role, *permission]) + "\n")
            self._file.flush()


def main() -> None:
    """Serve until SIGTERM."""
    args = stand_in_arguments("the AWS stand-in, noting what it is asked for").parse_args()
    data_dir: Path = args.data_dir
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (data_dir / RECORD).open("w") as file:
        serve_aws(args.fd, data_dir, around=lambda inner: RecordingApplication(inner, file))


if __name__ == "__main__":
    main()
