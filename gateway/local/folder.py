"""The data folder of a local platform: one platform at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderError(Exception):
    """The folder can't be used; the message is one line."""


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Hold the folder for this process, made where it is missing; the kernel lets go when the process ends."""
    try:
        (path / "logs").mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FolderError(f"--data-dir {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise FolderError(
                f"--data-dir {path}: is in use by another local platform (process {owner}); "
                "stop it, or give this one a folder of its own"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
