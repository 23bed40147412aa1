"""What was uploaded to be built, checked before it goes on: the error comes at once, and not after the build.

The file is on disk and read in parts. What is refused here would be refused by the builder, or harm it.
"""

import asyncio
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from gateway.errors import InvalidInputError, PayloadTooLargeError

MANIFEST = "spin.toml"
MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Of a zip's files together: five times the default upload, and what the builder's disk is made for."""
MAX_RATIO = 100
"""Unpacked to packed; source packs to a fifth or a tenth, zeros to a thousandth."""
RATIO_FREE_BYTES = 10 * 1024 * 1024
"""Unpacked, below which the ratio does not matter: nobody is harmed by 10 MB."""
MAX_DIRECTORY_BYTES = 2 * 1024 * 1024
"""Of a zip's table of contents, which is read at once: 10,000 files with long names."""
READ_BYTES = 64 * 1024
ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
"""Of a zip's entry: encrypted, strongly encrypted, with an encrypted table of contents."""
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4096
"""Of a file's name and of its path: more is more than file systems take."""
UNICODE_PATH = 0x7075
"""The Info-ZIP field that gives an entry's name again, which some programs take in place of the first."""
UTF_8_FLAG = 0x800
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What every zip program makes by default; with others the parts of a file can't be bounded."""

_DRIVE = re.compile(r"[A-Za-z]:")
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OSError, RuntimeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceUpload:
    """A file as it came: spooled to disk by whoever received it, and read from there in parts."""

    filename: str | None
    file: BinaryIO
    size_bytes: int


async def check_upload(upload: SourceUpload, filename: str, *, max_bytes: int) -> None:
    """Refuse a file that can't be built: InvalidInputError, or PayloadTooLargeError, for the field `file`."""
    if upload.size_bytes > max_bytes:
        message = f"file must have at most {max_bytes} bytes; it has {upload.size_bytes}."
        raise PayloadTooLargeError(message, field="file")
    if upload.size_bytes == 0:
        raise _refusal("file is empty.")
    if filename.endswith(".zip"):
        await asyncio.to_thread(check_archive, upload.file)
        upload.file.seek(0)


def check_archive(file: BinaryIO) -> None:
    """Refuse a zip that is broken, dangerous or without a manifest; reads all of it, a part at a time."""
    try:
        with zipfile.ZipFile(cast("BinaryIO", _BoundedReads(file))) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            _check_sizes(entries)
            for entry in entries:
                _read_through(archive, entry)
    except _BROKEN as error:
        raise _refusal(f"file is no zip archive that can be read: {_words(error)}.") from error


class _BoundedReads:
    """A file of which no more is read at once than a table of contents may have."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or what is left; InvalidInputError where these are too many."""
        if size > MAX_DIRECTORY_BYTES:
            raise _refusal(f"file has too many entries: their list may have {MAX_DIRECTORY_BYTES} bytes.")
        return self._file.read(size if size >= 0 else MAX_DIRECTORY_BYTES)


def _check_entries(entries: Iterable[zipfile.ZipInfo]) -> None:
    names: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        name = _check_name(entry)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind == stat.S_IFLNK:
            raise _refusal(f"file must not contain links; {_shown(entry)} is one.")
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise _refusal(f"file must contain files and folders only; {_shown(entry)} is neither.")
        if entry.flag_bits & ENCRYPTED_FLAGS:
            raise _refusal(f"file must not be encrypted; {_shown(entry)} is.")
        if entry.compress_type not in METHODS:
            raise _refusal(f"file must be packed with deflate; {_shown(entry)} is not.")
        if entry.is_dir():
            folders.add(f"{name}/")
        elif name in names:
            raise _refusal(f"file contains {_shown(entry)} twice.")
        else:
            names.add(name)
    _check_folders(names | folders)
    if MANIFEST not in names:
        raise _refusal(_no_manifest(names))


def _check_name(entry: zipfile.ZipInfo) -> str:
    """The entry's path as it is unpacked; one that leads out of the archive, or can't be one, is refused."""
    name = entry.orig_filename
    parts = name.replace("\\", "/").split("/")
    if not name or (not name.endswith("/") and not _joined(parts)):
        raise _refusal(f"file must not contain entries without a name; {_shown(entry)} is one.")
    if len(name.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        message = f"names of {MAX_NAME_BYTES} and paths of {MAX_PATH_BYTES} bytes at most"
        raise _refusal(f"file must contain {message}; {_shown(entry)} has more.")
    if _other_names(entry) - {_raw_name(entry)}:
        raise _refusal(f"file must give each entry one name; {_shown(entry)} has another as well: pack it again.")
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise _refusal(f"file must not contain absolute paths; {_shown(entry)} is one.")
    if ".." in parts:
        raise _refusal(f"file must not contain paths that lead out of it; {_shown(entry)} does.")
    if "\\" in name or any(unicodedata.category(character) == "Cc" for character in name):
        raise _refusal(f"file must not contain paths with \\ or control characters; {_shown(entry)} has some.")
    return _joined(parts)


def _joined(parts: Iterable[str]) -> str:
    return "/".join(part for part in parts if part not in {"", "."})


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & UTF_8_FLAG else "cp437")


def _other_names(entry: zipfile.ZipInfo) -> set[bytes]:
    """The names in Info-ZIP's field: a version, a checksum of the first name, and the name in UTF-8."""
    names: set[bytes] = set()
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == UNICODE_PATH:
            names.add(extra[9 : 4 + size])
        extra = extra[4 + size :]
    return names


def _check_folders(paths: Iterable[str]) -> None:
    """Refuse a file that is a folder too: what is in it comes right after it, where `/` sorts before all else."""
    for path, following in pairwise(sorted(path.replace("/", "\0") for path in paths)):
        if following.startswith(f"{path}\0"):
            shown = path.replace("\0", "/")[:100]
            raise _refusal(f"file must not contain {shown!r} as a file and as a folder.")


def _check_sizes(entries: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse a bomb by the sizes it names; that it does not name wrong ones is found by reading it."""
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > MAX_UNPACKED_BYTES:
        message = f"file must have at most {MAX_UNPACKED_BYTES} bytes when unpacked; it has {unpacked}."
        raise _refusal(message)
    if unpacked > max(packed * MAX_RATIO, RATIO_FREE_BYTES):
        raise _refusal(f"file unpacks to more than {MAX_RATIO} times its size.")


def _read_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Unpack an entry to nowhere: a wrong checksum or size, and a cut-off end, are BadZipFile or EOFError."""
    read = 0
    with archive.open(entry) as content:
        while part := content.read(READ_BYTES):
            read += len(part)
    if read != entry.file_size:
        raise zipfile.BadZipFile(f"{_shown(entry)} is cut off")


def _no_manifest(names: Iterable[str]) -> str:
    """What to do about it: most often the folder was packed, and not what is in it."""
    deeper = min((name for name in names if PurePosixPath(name).name == MANIFEST), key=len, default=None)
    if deeper is None:
        return f"file must have a {MANIFEST} at its root, beside the module it names."
    folder = PurePosixPath(deeper).parent
    return f"file must have its {MANIFEST} at its root; it is in {str(folder)[:100]}/: pack what is in there."


def _shown(entry: zipfile.ZipInfo) -> str:
    return repr(entry.orig_filename[:100])


def _words(error: Exception) -> str:
    return str(error).rstrip(".")[:200] or type(error).__name__


def _refusal(message: str) -> InvalidInputError:
    return InvalidInputError(message, field="file")
