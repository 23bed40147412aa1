"""A function as the zip that the builder builds."""

import io
import re
import tomllib
import zipfile

import pytest

from gateway.builds.archive import name_app, pack_source
from gateway.local.builder.source import unpack


def manifest_of(packed: bytes) -> dict[str, object]:
    """The spin.toml of a zip."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return tomllib.loads(archive.read("spin.toml").decode())


def test_pack_source_when_the_environment_is_hostile() -> None:
    """Names and values come through TOML as they are."""
    environment = {
        "QUOTE": "\"'\\",
        "LINES": "a\nb\r\t\x00\x1f\x7f\x85",
        "WIDE": "한글 😀",
        "EMPTY": "",
        "_X1": "[a]\n#b",
    }
    manifest = manifest_of(pack_source(b"", "hello", environment))
    assert manifest["component"]["hello"]["environment"] == environment  # type: ignore[index]  # read from TOML


def test_pack_source_when_there_is_no_environment() -> None:
    """It is the builder's own manifest for a single file."""
    assert manifest_of(pack_source(b"", "hello", {})) == {
        "spin_manifest_version": 2,
        "application": {"name": "hello", "version": "0.1.0"},
        "trigger": {"http": [{"route": "/...", "component": "hello"}]},
        "component": {
            "hello": {
                "source": "app.wasm",
                "build": {"command": "componentize-py -w spin-http componentize app -o app.wasm"},
            }
        },
    }


def test_pack_source_when_it_is_the_same_function() -> None:
    """The same bytes, whenever it is packed and in whatever order the environment comes."""
    first = pack_source(b"x = 1\n", "hello", {"A": "1", "B": "2"})
    assert first == pack_source(b"x = 1\n", "hello", {"B": "2", "A": "1"})


def test_pack_source_when_the_builder_reads_it(tmp_path: pytest.TempPathFactory) -> None:
    """The builder's stand-in finds the module and the app in it."""
    source = unpack(pack_source("# 한글\n".encode(), "hello", {"A": "1"}), "hello.zip", tmp_path)  # type: ignore[arg-type]  # a Path
    assert (source.app, source.module) == ("hello", "app")
    assert source.entry.read_text(encoding="utf-8") == "# 한글\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hello World", "helloworldfn1a2b3c4d"),
        ("My-Hello_App 1", "myhelloapp1fn1a2b3c4d"),
        ("123 go", "gofn1a2b3c4d"),
        ("한글", "fn1a2b3c4d"),
        ("x" * 100, "x" * 53 + "fn1a2b3c4d"),
    ],
)
def test_name_app_when_names_are_anything(name: str, expected: str) -> None:
    """A DNS label that starts with a letter, and that the builder's clean-up leaves alone."""
    app = name_app(name, "fn-1a2b3c4d")
    assert app == expected
    assert re.fullmatch(r"[a-z][a-z0-9]{0,62}", app)


def test_name_app_when_names_collapse_to_one() -> None:
    """The function's id keeps them apart."""
    assert name_app("My App", "fn-aaaa1111") != name_app("my-app", "fn-bbbb2222")
