"""Sources that do not build: every upload is accepted, and its task ends in the tools' own words."""

import io
import re
import zipfile

import pytest

from tests.local.builder.stage import HELLO, MANIFEST, Builder, StartBuilder, new_workspace, zipped

pytestmark = pytest.mark.asyncio(loop_scope="session")

HINT = """\
hint: a function is a module with this class:

from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        return Response(200, {"content-type": "text/plain"}, bytes("Hello", "utf-8"))"""


async def error_of(builder: Builder, filename: str, content: bytes | str) -> str:
    """The error that a build ends with; it has no result."""
    task = await builder.build(filename, content)
    assert (task["status"], task["result"]) == ("failed", None)
    return str(task["error"])


def without_folder(error: str) -> str:
    """The error with the builder's temporary folder, which must be in it, taken out."""
    shown, count = re.subn(r"/[^\s\"']*/spin_build_[^/\s]+", "TMP", error)
    assert count
    return shown


async def test_syntax_error_is_mypys(builder: Builder) -> None:
    """mypy finds it first, with the temporary path, line and column."""
    error = without_folder(await error_of(builder, "app.py", "def f(:\n    pass\n"))
    assert error.startswith("mypy type check failed:\nTMP/app.py:1:")
    assert error.endswith("[syntax]")


async def test_type_error_fails_though_it_would_run(builder: Builder) -> None:
    """A wrong body type is found by the SDK's annotations."""
    error = without_folder(await error_of(builder, "app.py", HELLO.replace('bytes("Hello", "utf-8")', "7")))
    assert error == (
        "mypy type check failed:\n"
        'TMP/app.py:7:62: error: Argument 3 to "Response" has incompatible type "int"; expected "bytes | None"'
        "  [arg-type]"
    )


async def test_missing_handler_comes_with_the_right_format(builder: Builder) -> None:
    """The AttributeError of the real tool, and the hint that shows what a function looks like."""
    error = await error_of(builder, "app.py", "def handler(event: object) -> str:\n    return 'x'\n")
    assert error == f"import failed:\nAttributeError: module 'app' has no attribute 'IncomingHandler'\n{HINT}"


async def test_missing_module_is_named(builder: Builder) -> None:
    """mypy ignores a missing import; importing finds it."""
    error = without_folder(await error_of(builder, "app.py", "import numpyx\n"))
    assert error == (
        'import failed:\nTraceback (most recent call last):\n  File "TMP/app.py", line 1, in <module>\n'
        "    import numpyx\nModuleNotFoundError: No module named 'numpyx'"
    )


async def test_exit_at_import_is_a_failure(builder: Builder) -> None:
    """Code that ends the process does not pass for a success."""
    error = await error_of(builder, "app.py", "raise SystemExit(0)\n")
    assert error.endswith("SystemExit: 0")


async def test_endless_loop_is_stopped(start_builder: StartBuilder) -> None:
    """A loop in top-level code ends with its step's limit; the builder goes on."""
    async with start_builder(step_timeout_s=4) as builder:
        error = await error_of(builder, "app.py", "while True:\n    pass\n")
        assert error == (
            "the import did not finish within 4 s and was stopped\n"
            "hint: a module's top-level code runs during the build; a loop there never ends"
        )
        assert (await builder.client.get("/health")).status_code == 200


@pytest.mark.parametrize("filename", ["app.PY", "app.txt", "app", "app.tar.gz"])
async def test_file_type_is_refused_in_the_task(builder: Builder, filename: str) -> None:
    """Only `.py` and `.zip` are built, in lower case."""
    error = await error_of(builder, filename, HELLO)
    assert error == f"Unsupported file type: '{filename}'. Only .py and .zip files are supported"


async def test_file_name_that_leaves_no_module_fails(builder: Builder) -> None:
    """Nothing of the stem is left once spaces, `-` and `_` are gone."""
    assert await error_of(builder, "-_ .py", HELLO) == "Invalid file name: '-_ .py' leaves no module name"


async def test_broken_zip_fails(builder: Builder) -> None:
    """What is no zip, and a zip that is cut off."""
    assert await error_of(builder, "a.zip", b"x") == "Failed to extract a.zip: File is not a zip file"
    damaged = zipped(spin__toml=MANIFEST).replace(b"spin_manifest", b"spun_manifest")
    assert (await error_of(builder, "a.zip", damaged)).startswith("Failed to extract a.zip: Bad CRC-32")


async def test_zip_bomb_is_not_unpacked(builder: Builder) -> None:
    """A zip says how large it is, and is believed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}", bytes(60 * 1024 * 1024))
    error = await error_of(builder, "a.zip", packed.getvalue())
    assert error == "a.zip: larger than 268435456 bytes when unpacked"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"hello__py": HELLO}, "spin.toml not found in TMP"),
        ({"sub/spin__toml": MANIFEST}, "spin.toml not found in TMP"),
        ({"spin__toml": "x = "}, "TMP/spin.toml: Invalid value (at end of document)"),
        (
            {"spin__toml": "spin_manifest_version = 2"},
            "TMP/spin.toml: needs spin_manifest_version = 2 and exactly one component",
        ),
        (
            {"spin__toml": MANIFEST.replace("componentize-py", "rm -rf / #")},
            (
                "TMP/spin.toml: the build command of component 'packed' is not "
                "`componentize-py -w spin-http componentize MODULE -o FILE`"
            ),
        ),
    ],
)
async def test_manifest_that_cannot_be_built_fails(builder: Builder, files: dict[str, str], reason: str) -> None:
    """What is wrong with the spin.toml is said; a build command of its own is not run."""
    error = await error_of(builder, "a.zip", zipped(**files))
    assert re.sub(r"/\S*/spin_build_[^/\s]+", "TMP", error) == reason


async def test_zip_without_its_module_fails(builder: Builder) -> None:
    """The module that the build command names has to be there."""
    error = await error_of(builder, "a.zip", zipped(spin__toml=MANIFEST))
    assert error == "ModuleNotFoundError: No module named 'hello'"


async def test_configuration_in_the_zip_is_not_mypys(builder: Builder) -> None:
    """A mypy.ini could name plugins, which would run outside of any sandbox."""
    ini = "[mypy]\nplugins = nowhere\n"
    task = await builder.build("a.zip", zipped(spin__toml=MANIFEST, hello__py=HELLO, mypy__ini=ini))
    assert task["error"] is None


async def test_source_is_not_found_when_a_push_names_none(builder: Builder) -> None:
    """A push of a source that was never stored, and of a path that is none."""
    body = {"registry_url": "registry.local/x", "username": "", "password": "", "app_dir": "/nonexistent"}
    for path, reason in (
        (f"s3://{builder.config.bucket}/none.py", f"Failed to download s3://{builder.config.bucket}/none.py: "),
        ("none.py", "Invalid S3 path: none.py"),
        (None, "spin.toml not found in /nonexistent"),
    ):
        workspace = new_workspace()
        answer = await builder.client.post(
            "/api/v1/push", json=body | {"workspace_id": workspace, "s3_source_path": path}
        )
        task = (await builder.follow(answer.json()["task_id"], workspace))[-1]
        assert task["error"].startswith(reason)
