"""The process of one function in CPython, for machines without WASM: limits, but no sandbox.

`python -m gateway.local.runner.python_worker FD`: FD is the socket of `frames`. The module is imported once and
keeps its state from request to request, unlike a component. A request is ended by killing this process's group.
"""

import contextlib
import importlib
import io
import os
import resource
import sys
import traceback
from typing import Any

from gateway.local.runner.frames import Connection, Head, HeaderList, is_field, load_headers

OPEN_FILES = 64
"""Descriptors of a function: it has no files to open, but may call others."""


class LineOutput(io.TextIOWrapper):
    """A text output that knows whether its last line is still open."""

    line_open = False

    def write(self, text: str) -> int:
        """Write `text` as any text output does."""
        if text:
            self.line_open = not text.endswith("\n")
        return super().write(text)

    def end_line(self) -> None:
        """A request is over: what it printed is not to run into the next one's."""
        if self.line_open:
            self.write("\n")
        self.flush()


def replace_outputs() -> tuple[LineOutput, LineOutput]:
    """Put line-buffered outputs in place of this process's own."""
    outputs = tuple(
        LineOutput(stream.detach(), encoding="utf-8", errors="backslashreplace", line_buffering=True)
        for stream in (sys.stdout, sys.stderr)
        if isinstance(stream, io.TextIOWrapper)
    )
    sys.stdout, sys.stderr = outputs
    return outputs[0], outputs[1]


def set_limits(memory_bytes: int) -> None:
    """Bound the memory (address space) and the descriptors of this process; no files written, no core dumps."""
    limits = {
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_AS: memory_bytes,
    }
    for kind, limit in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS
            resource.setrlimit(kind, (limit, limit))


def load_handler(settings: Head) -> Any:
    """Import the function's module with nothing but its own environment, and make its handler."""
    for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry in sys.path:  # the function's modules come before this project's
            sys.path.remove(entry)
            sys.path.append(entry)
    os.environ.clear()
    os.environ.update(settings["environment"])
    sys.path.insert(0, settings["folder"])
    os.chdir(settings["folder"])
    import spin_sdk.http  # noqa: F401 - before the limits, so that they are the function's alone

    set_limits(settings["memory_bytes"])
    module = importlib.import_module(settings["module"])
    return module.IncomingHandler()


def check_field(name: str, value: bytes) -> tuple[str, bytes]:
    """The header as it is; ValueError for what can't be sent as one."""
    if not is_field(name, value):
        raise ValueError(f"{name!r}: {value!r} is not a header")
    return name, value


def run(handler: Any, head: Head, body: bytes) -> tuple[int, HeaderList, bytes]:
    """Have the handler answer; what it raises goes to its log and is a 500, as in a component."""
    from spin_sdk.http import Request

    try:
        headers = {name: value.decode() for name, value in load_headers(head["headers"])}
        response = handler.handle_request(Request(head["method"], head["path"], headers, body))
        fields = [check_field(str(name), str(value).encode()) for name, value in response.headers.items()]
        return int(response.status), fields, bytes(response.body or b"")
    except BaseException:  # SystemExit too: the function may not end its worker
        traceback.print_exc()
        return 500, [], b""


def main() -> None:
    """Serve until the runner closes the socket."""
    connection = Connection(int(sys.argv[1]))
    settings, _ = connection.receive()
    outputs = replace_outputs()
    try:
        handler = load_handler(settings)
    except BaseException as error:
        traceback.print_exc()
        connection.send({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    connection.send({"ready": True})
    with contextlib.suppress(EOFError, OSError):
        while True:
            head, body = connection.receive()
            answer = run(handler, head, body)
            for output in outputs:
                output.end_line()
            connection.send_answer(head, *answer)


if __name__ == "__main__":
    main()
