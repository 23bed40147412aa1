"""wasi:cli, wasi:clocks, wasi:random and wasi:filesystem 0.2.0, and Spin's variables.

A function has its environment variables, the clocks, random numbers and its two outputs. It has no arguments,
no standard input, no files and no terminal.
"""

import os
import secrets
import time
from functools import partial
from typing import Any

from wasmtime.component import Record, ResourceHost, Variant

from gateway.local.runner.wasm.instance import Deadline, GuestError, Instance, WitError, host_function
from gateway.local.runner.wasm.io import InputStream, OutputStream

STDOUT, STDERR = 1, 2


@host_function("wasi:cli/environment get-environment")
def _get_environment(instance: Instance) -> list[tuple[str, str]]:
    return list(instance.grants.environment.items())


@host_function("wasi:cli/environment get-arguments", "wasi:filesystem/preopens get-directories")
def _get_none(_: Instance) -> list[Any]:
    return []


@host_function(
    "wasi:cli/environment initial-cwd",
    "wasi:cli/terminal-stdin get-terminal-stdin",
    "wasi:cli/terminal-stdout get-terminal-stdout",
    "wasi:cli/terminal-stderr get-terminal-stderr",
)
def _get_nothing(_: Instance) -> None:
    return None


@host_function("wasi:cli/exit exit")
def _exit(_: Instance, __: Any) -> None:
    raise GuestError("the function called exit() before it answered")


@host_function("wasi:cli/stdin get-stdin")
def _get_stdin(instance: Instance) -> ResourceHost:
    return instance.own("input-stream", InputStream(b""))


@host_function("wasi:cli/stdout get-stdout")
def _get_stdout(instance: Instance) -> ResourceHost:
    return instance.own("output-stream", OutputStream(partial(instance.write_output, STDOUT)))


@host_function("wasi:cli/stderr get-stderr")
def _get_stderr(instance: Instance) -> ResourceHost:
    return instance.own("output-stream", OutputStream(partial(instance.write_output, STDERR)))


@host_function("wasi:clocks/monotonic-clock now")
def _now(_: Instance) -> int:
    return time.monotonic_ns()


@host_function("wasi:clocks/monotonic-clock resolution")
def _resolution(_: Instance) -> int:
    return 1


@host_function("wasi:clocks/monotonic-clock subscribe-duration")
def _subscribe_duration(instance: Instance, duration_ns: int) -> ResourceHost:
    return instance.own("pollable", Deadline(time.monotonic_ns() + duration_ns))


@host_function("wasi:clocks/monotonic-clock subscribe-instant")
def _subscribe_instant(instance: Instance, at_ns: int) -> ResourceHost:
    return instance.own("pollable", Deadline(at_ns))


def _datetime(ns: int) -> Record:
    record = Record()
    seconds, nanoseconds = divmod(ns, 1_000_000_000)
    vars(record).update(seconds=seconds, nanoseconds=nanoseconds)
    return record


@host_function("wasi:clocks/wall-clock now")
def _wall_now(_: Instance) -> Record:
    return _datetime(time.time_ns())


@host_function("wasi:clocks/wall-clock resolution")
def _wall_resolution(_: Instance) -> Record:
    return _datetime(1)


@host_function("wasi:random/random get-random-bytes", "wasi:random/insecure get-insecure-random-bytes")
def _random_bytes(_: Instance, count: int) -> bytes:
    return os.urandom(count)


@host_function("wasi:random/random get-random-u64", "wasi:random/insecure get-insecure-random-u64")
def _random_u64(_: Instance) -> int:
    return secrets.randbits(64)


@host_function("wasi:random/insecure-seed insecure-seed")
def _insecure_seed(_: Instance) -> tuple[int, int]:
    return secrets.randbits(64), secrets.randbits(64)


@host_function("fermyon:spin/variables get")
def _get_variable(instance: Instance, name: str) -> str:
    try:
        return instance.grants.variables[name]
    except KeyError:
        raise WitError(Variant("undefined", f"no variable for {name!r}")) from None
