"""What is refused of an upload before it goes on."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from gateway.errors import InvalidInputError
from gateway.services.uploads import MAX_UNPACKED_BYTES, check_archive
from tests.builds.samples import a_zip, an_upload
from tests.builds.script import ScriptedBuilder
from tests.builds.stage import Stage

LINK, DEVICE = 0o120777 << 16, 0o020666 << 16


def packed(*entries: tuple[str, bytes], **attributes: int) -> bytes:
    """A zip of these entries beside a manifest; `attributes` are the entries'."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("spin.toml", "")
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.filename = name  # ZipInfo would make it harmless
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, data)
    return content.getvalue()


def marked(content: bytes, flag: int) -> bytes:
    """The same zip with a flag set on every entry, as an encrypting program sets it."""
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        parts = content.split(signature)
        content = signature.join([parts[0], *(_with_flag(part, offset - 4, flag) for part in parts[1:])])
    return content


def _with_flag(part: bytes, at: int, flag: int) -> bytes:
    flags = struct.unpack_from("<H", part, at)[0] | flag
    return part[:at] + struct.pack("<H", flags) + part[at + 2 :]


def understated() -> bytes:
    """A zip whose table of contents says that a file of 100 KB has 10 bytes."""
    content = packed(("big.txt", b"0" * 100_000))
    return content.replace(struct.pack("<I", 100_000), struct.pack("<I", 10))


def twice() -> bytes:
    """A zip in which a file is twice, under two spellings of its path."""
    return packed(("app.py", b"1"), ("./app.py", b"2"))


def with_unicode_path(name: str, other: bytes) -> bytes:
    """A zip with an entry whose name is given again in Info-ZIP's field, as `other`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("spin.toml", "")
        entry = zipfile.ZipInfo(name)
        field = struct.pack("<BL", 1, zlib.crc32(name.encode())) + other
        entry.extra = struct.pack("<HH", 0x7075, len(field)) + field
        archive.writestr(entry, b"x = 1")
    return content.getvalue()


def in_a_folder() -> bytes:
    """A zip of the folder, and not of what is in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("my-app/spin.toml", "")
        archive.writestr("my-app/app.py", "")
    return content.getvalue()


def without_manifest() -> bytes:
    """A zip of a module alone."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("app.py", "")
    return content.getvalue()


def wrong_checksum() -> bytes:
    """A zip in which a byte has changed."""
    return packed(("data", b"abcdefgh"), compress_type=zipfile.ZIP_STORED).replace(b"abcdefgh", b"abcdefgX")


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "no manifest": (without_manifest, "file must have a spin.toml at its root, beside the module it names."),
    "a folder": (
        in_a_folder,
        "file must have its spin.toml at its root; it is in my-app/: pack what is in there.",
    ),
    "traversal": (lambda: packed(("../app.py", b"")), "paths that lead out of it; '../app.py' does"),
    "deep traversal": (lambda: packed(("a/../../app.py", b"")), "paths that lead out of it"),
    "windows traversal": (lambda: packed(("a\\..\\..\\app.py", b"")), "paths that lead out of it"),
    "absolute": (lambda: packed(("/etc/passwd", b"")), "absolute paths; '/etc/passwd' is one"),
    "drive": (lambda: packed(("C:/app.py", b"")), "absolute paths"),
    "backslash": (lambda: packed(("a\\app.py", b"")), "paths with \\ or control characters"),
    "control character": (lambda: packed(("a\napp.py", b"")), "paths with \\ or control characters"),
    "link": (lambda: packed(("l", b"/etc"), external_attr=LINK), "must not contain links; 'l' is one"),
    "device": (lambda: packed(("d", b""), external_attr=DEVICE), "files and folders only; 'd' is neither"),
    "encrypted": (lambda: marked(a_zip(), 0x1), "must not be encrypted; 'spin.toml' is"),
    "strongly encrypted": (lambda: marked(a_zip(), 0x41), "must not be encrypted"),
    "bzip2": (lambda: packed(("a", b""), compress_type=zipfile.ZIP_BZIP2), "packed with deflate; 'a' is not"),
    "twice": (twice, "file contains './app.py' twice."),
    "another name": (
        lambda: with_unicode_path("app.py", b"../app.py"),
        "must give each entry one name; 'app.py' has another as well: pack it again.",
    ),
    "no name": (lambda: packed(("", b"")), "must not contain entries without a name; '' is one."),
    "a dot": (lambda: packed((".", b"")), "must not contain entries without a name; '.' is one."),
    "file and folder": (
        lambda: packed(("a/b", b""), ("a!", b""), ("a", b"")),
        "must not contain 'a' as a file and as a folder.",
    ),
    "file and empty folder": (lambda: packed(("a", b""), ("a/", b"")), "'a' as a file and as a folder."),
    "deep file and folder": (lambda: packed(("a/b", b""), ("a/./b/c", b"")), "'a/b' as a file and as a folder."),
    "long name": (lambda: packed(("a/" + "b" * 256, b"")), "names of 255 and paths of 4096 bytes at most; 'a/bbb"),
    "long name in UTF-8": (lambda: packed(("한" * 86, b"")), "names of 255 and paths of 4096 bytes at most"),
    "long path": (lambda: packed(("a/" * 2048 + "b", b"")), "names of 255 and paths of 4096 bytes at most"),
    "ratio": (lambda: packed(("zeros", bytes(11_000_000))), "file unpacks to more than 100 times its size."),
    "understated": (understated, "no zip archive that can be read"),
    "truncated": (
        lambda: a_zip(app__py="x" * 5000)[:-30],
        "no zip archive that can be read: File is not a zip file.",
    ),
    "cut in the middle": (lambda: a_zip()[20:], "no zip archive that can be read"),
    "no zip": (lambda: b"print('hello')", "no zip archive that can be read: File is not a zip file."),
    "wrong checksum": (wrong_checksum, "no zip archive that can be read: Bad CRC-32 for file 'data'."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_check_archive_when_it_is_refused(case: str) -> None:
    """The person is told what is wrong with it, as an error of the field `file`."""
    make, words = REFUSED[case]
    with pytest.raises(InvalidInputError) as caught:
        check_archive(io.BytesIO(make()))
    assert caught.value.field == "file"
    assert words in caught.value.message


def test_check_archive_when_it_unpacks_to_too_much() -> None:
    """Its sizes are added up before any of it is unpacked."""
    content = packed(("a", b"1" * 1000), ("b", b"2" * 1001))
    for size, wrong in ((1000, MAX_UNPACKED_BYTES - 5), (1001, 6)):
        content = content.replace(struct.pack("<I", size), struct.pack("<I", wrong))
    with pytest.raises(
        InvalidInputError, match=f"at most {MAX_UNPACKED_BYTES} bytes when unpacked; it has 268435457"
    ):
        check_archive(io.BytesIO(content))


def test_check_archive_when_its_table_of_contents_is_huge() -> None:
    """It is not read: its entries would take many times as much memory."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number:060}", b"")
    with pytest.raises(InvalidInputError, match="too many entries"):
        check_archive(content)


def test_check_archive_when_it_is_fine() -> None:
    """Folders, deep files, names in any script and a path through the same folder are."""
    entries = ("./", "pkg/", "pkg/한글.py", "./pkg/b.py", "e", "pkg.py", "pkg-2/a", "a" * 255, "b/" * 2047 + "cd")
    check_archive(io.BytesIO(packed(*((name, b"") for name in entries))))


@pytest.mark.parametrize("name", ["app.py", "한글.py"])
def test_check_archive_when_a_name_is_given_twice(name: str) -> None:
    """Info-ZIP gives a name that is not ASCII a second time; where it is the same, nothing is wrong with it."""
    check_archive(io.BytesIO(with_unicode_path(name, name.encode())))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("filename", "content", "words"),
    [("app.zip", b"PK", "no zip archive"), ("app.zip", b"", "file is empty."), ("app.py", b"", "file is empty.")],
)
async def test_start_build_when_the_file_is_refused(
    stage: Stage, script: ScriptedBuilder, filename: str, content: bytes, words: str
) -> None:
    """Nothing is stored, in S3 neither, and the builder is not called."""
    with pytest.raises(InvalidInputError, match=words):
        await stage.starts.start_build_and_push(
            workspace_id=stage.workspace_id, upload=an_upload(filename, content)
        )
    page = await stage.dynamo.builds.list_of_workspace(stage.workspace_id, first=10, after=None)
    assert page.items == ()
    assert await stage.keys(f"build-sources/{stage.workspace_id}/") == []
    assert script.calls == []


@pytest.mark.asyncio(loop_scope="session")
async def test_start_build_when_a_zip_is_fine(stage: Stage, script: ScriptedBuilder) -> None:
    """S3 and the builder get all of it, though it was read before."""
    content = a_zip()
    build = await stage.starts.start_build(
        workspace_id=stage.workspace_id, upload=an_upload("My App.ZIP", content)
    )
    assert script.forms[0]["file"] == ("My_App.zip", content)
    key = f"build-sources/{stage.workspace_id}/{build.id}/My_App.zip"
    assert await stage.read_object(key) == content
