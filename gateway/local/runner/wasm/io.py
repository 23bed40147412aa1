"""wasi:io 0.2.0: streams, pollables and errors."""

from collections.abc import Callable
from dataclasses import dataclass, field

from wasmtime.component import ResourceHost

from gateway.local.runner.wasm.instance import (
    GuestError,
    Instance,
    Pollable,
    Ready,
    WitError,
    host_function,
)

BODY_LIMIT_BYTES = 64 * 1024 * 1024
"""Bytes of one body in the host's memory; the gateway's own limit is far below."""

WRITE_BYTES = 1024 * 1024
"""What `check-write` permits at once: the host only appends, so there is no reason to slow a guest down."""

IN = "wasi:io/streams [method]input-stream."
OUT = "wasi:io/streams [method]output-stream."


@dataclass(slots=True)
class InputStream:
    """Bytes the guest reads, all of them there from the start."""

    content: bytes
    position: int = 0

    def take(self, count: int) -> bytes:
        """The next bytes, at most `count`; WitError (closed) at the end."""
        if self.position >= len(self.content):
            raise WitError
        piece = self.content[self.position : self.position + count]
        self.position += len(piece)
        return piece


@dataclass(slots=True)
class OutputStream:
    """Where the guest writes to."""

    write: Callable[[bytes], None]


@dataclass(slots=True)
class Body:
    """A body the guest writes; `finished` is called once, with True when the guest said it is complete."""

    content: bytearray = field(default_factory=bytearray)
    open: bool = True
    finished: Callable[[bool], None] | None = None

    def append(self, piece: bytes) -> None:
        """Add to the body; GuestError over the limit."""
        if len(self.content) + len(piece) > BODY_LIMIT_BYTES:
            raise GuestError(f"the body is larger than {BODY_LIMIT_BYTES} bytes")
        self.content += piece

    def finish(self) -> None:
        """The guest has written all of it."""
        self._end(complete=True)

    def dropped(self) -> None:
        """The guest gave the body up, unless it had finished it."""
        if self.open:
            self._end(complete=False)

    def _end(self, *, complete: bool) -> None:
        self.open = False
        if self.finished is not None:
            self.finished(complete)


@host_function(f"{IN}read", f"{IN}blocking-read")
def _read(_: Instance, stream: InputStream, count: int) -> bytes:
    return stream.take(count)


@host_function(f"{IN}skip", f"{IN}blocking-skip")
def _skip(_: Instance, stream: InputStream, count: int) -> int:
    return len(stream.take(count))


@host_function(f"{IN}subscribe", f"{OUT}subscribe")
def _subscribe(instance: Instance, _: object) -> ResourceHost:
    return instance.own("pollable", Ready())


@host_function(f"{OUT}check-write")
def _check_write(_: Instance, __: OutputStream) -> int:
    return WRITE_BYTES


@host_function(f"{OUT}write", f"{OUT}blocking-write-and-flush")
def _write(_: Instance, stream: OutputStream, content: bytes) -> None:
    stream.write(content)


@host_function(f"{OUT}flush", f"{OUT}blocking-flush")
def _flush(_: Instance, __: OutputStream) -> None:
    return None


@host_function(f"{OUT}write-zeroes", f"{OUT}blocking-write-zeroes-and-flush")
def _write_zeroes(_: Instance, stream: OutputStream, count: int) -> None:
    stream.write(bytes(min(count, WRITE_BYTES)))


@host_function(f"{OUT}splice", f"{OUT}blocking-splice")
def _splice(_: Instance, stream: OutputStream, source: InputStream, count: int) -> int:
    piece = source.take(min(count, WRITE_BYTES))
    stream.write(piece)
    return len(piece)


@host_function("wasi:io/poll [method]pollable.ready")
def _ready(_: Instance, pollable: Pollable) -> bool:
    return pollable.wait_s() == 0


@host_function("wasi:io/poll [method]pollable.block")
def _block(instance: Instance, pollable: Pollable) -> None:
    instance.alarm.wait([pollable])


@host_function("wasi:io/poll poll")
def _poll(instance: Instance, pollables: list[Pollable]) -> list[int]:
    return instance.alarm.wait(pollables)


@host_function("wasi:io/error [method]error.to-debug-string")
def _to_debug_string(_: Instance, error: object) -> str:
    return str(error)
