"""The process of one WASM function: takes requests from the runner, one at a time, and can be interrupted.

`python -m gateway.local.runner.wasm_worker FD`: FD is the socket of `frames`. What the guest prints goes to
this process's standard output and error, which the runner reads.
"""

import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from wasmtime import WasmtimeError

from gateway.local.runner.frames import Connection, Head, load_headers
from gateway.local.runner.precompile import compile_apart
from gateway.local.runner.wasm.component import ExecutionError, LoadedComponent
from gateway.local.runner.wasm.http import Fields, Incoming
from gateway.local.runner.wasm.instance import Grants

STDERR = 2


class Output:
    """The guest's outputs; ends a line that a request has left open."""

    def __init__(self) -> None:
        self._open_lines: set[int] = set()

    def write(self, descriptor: int, content: bytes) -> None:
        """Write all of `content`."""
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if content:
            (self._open_lines.discard if content.endswith(b"\n") else self._open_lines.add)(descriptor)

    def end_lines(self) -> None:
        """A request is over: what it printed is not to run into the next one's."""
        for descriptor in sorted(self._open_lines):
            self.write(descriptor, b"\n")


def load(settings: Head, output: Output) -> LoadedComponent:
    """Load the component that the runner's first frame names.

    It is compiled now where the build has not done so, where it was dropped from the cache since, and where it is
    of no use any more (another CPU, a file cut short by a power failure).
    """
    grants = Grants(
        environment=settings["environment"],
        variables=settings["variables"],
        allowed_outbound_hosts=tuple(settings["allowed_outbound_hosts"]),
        memory_bytes=settings["memory_bytes"],
    )
    compiled = Path(settings["compiled"])
    try:
        os.utime(compiled)  # in use: the cache drops what was not for longest
        return LoadedComponent(compiled, grants, output.write)
    except (FileNotFoundError, WasmtimeError):
        compiled.unlink(missing_ok=True)
        compile_apart(Path(settings["component"]), compiled.parent)
        return LoadedComponent(compiled, grants, output.write)


def answer(connection: Connection, component: LoadedComponent, output: Output, head: Head, body: bytes) -> None:
    """Run one request and send what came of it; without a response it is a 500 that says why."""
    headers = Fields(load_headers(head["headers"]), mutable=False)
    incoming = Incoming(head["method"], head["path"], head["authority"], headers, body)
    try:
        response = component.handle(head["id"], incoming)
    except ExecutionError as error:
        text = str(error).encode()
        output.end_lines()
        output.write(STDERR, text + b"\n")
        connection.send_answer(head, 500, [("content-type", b"text/plain; charset=utf-8")], text)
    else:
        output.end_lines()
        connection.send_answer(head, response.status, response.headers, response.body)


def receive(connection: Connection, component: LoadedComponent, requests: "queue.SimpleQueue[Any]") -> None:
    """Take frames until the runner has gone, which ends this process whatever it is doing."""
    try:
        while True:
            head, body = connection.receive()
            if "cancel" in head:
                component.interrupt(head["cancel"])
            else:
                requests.put((head, body))
    except (EOFError, OSError):
        os._exit(0)


def main() -> None:
    """Serve until the runner closes the socket."""
    connection, output = Connection(int(sys.argv[1])), Output()
    settings, _ = connection.receive()
    try:
        component = load(settings, output)
    except Exception as error:  # whatever it is, it is the runner's to report
        connection.send({"error": str(error).strip() or type(error).__name__})
        sys.exit(1)
    connection.send({"ready": True})
    requests: queue.SimpleQueue[tuple[Head, bytes]] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(connection, component, requests), daemon=True).start()
    while True:
        answer(connection, component, output, *requests.get())


if __name__ == "__main__":
    main()
