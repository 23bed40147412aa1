"""What is in the image: the locked packages, the project's wheel, and no more."""

import json
import subprocess
import sys
import zipfile
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from gateway import __version__
from release.locks import read_lock
from tests.image.dockerfile import ROOT, read_dockerfile
from tests.image.image import Image

pytestmark = pytest.mark.ci

MAX_SITE_PACKAGES_MB = 200
"""Twice what it is; most is botocore's, which describes all of AWS. A tool or a second SDK would show."""
UNCHECKED = (1).to_bytes(4, "little")
"""The flags of byte code that has a hash of its source (PEP 552) and is not compared with it."""
INSTALLED = """
import importlib.metadata, json
print(json.dumps({one.name: one.version for one in importlib.metadata.distributions()}))
"""
PLATFORMS = {
    "amd64": ["manylinux_2_28_x86_64", "manylinux2014_x86_64"],
    "arm64": ["manylinux_2_28_aarch64", "manylinux2014_aarch64"],
}


def test_image_has_the_locked_packages_alone(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    """Not pip, no tool, nothing that only the local platform needs; and it is not larger than it was."""
    listed = image.run("python", "-c", INSTALLED)
    installed = {name.lower().replace("_", "-"): version for name, version in json.loads(listed.stdout).items()}
    locked = {one.name: one.version for one in read_lock(ROOT / "release" / "runtime.lock")}
    assert installed == locked | {"blue-faas-gateway": __version__}
    megabytes = sum(path.lstat().st_size for path in image.site_packages.rglob("*")) / 1e6
    with capsys.disabled():
        print(f"\nimage: {megabytes:.0f} MB of packages")  # noqa: T201  # a figure to look at
    assert megabytes < MAX_SITE_PACKAGES_MB


def test_wheel_has_what_was_copied(image: Image) -> None:
    """All of it is installed, and the licences: what is no part of the gateway is not even in the context."""
    (wheel,) = (image.root / "build" / "wheels").iterdir()
    assert wheel.name == f"blue_faas_gateway-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    about = f"blue_faas_gateway-{__version__}.dist-info/"
    copied = [path for folder in ("gateway", "schema") for path in (image.root / "build" / folder).rglob("*")]
    sources = {str(path.relative_to(image.root / "build")) for path in copied if path.is_file()}
    assert {name for name in names if not name.startswith(about)} == sources
    assert "gateway/web/explorer/static/index.html" in sources
    licences = {name.removeprefix(f"{about}licenses/") for name in names if name.startswith(f"{about}licenses/")}
    assert licences == {"LICENSE", "gateway/web/explorer/static/licenses.md"}


def test_commands_of_the_image(image: Image) -> None:
    """The version is the one there is; the local platform says what it lacks in a line."""
    assert image.run("blue-gateway", "--version").stdout == f"{__version__}\n"
    local = image.run("blue-gateway", "local")
    assert local.returncode == 2
    assert len(local.stderr.splitlines()) == 1, local.stderr


def test_byte_code_is_there(image: Image) -> None:
    """Who can't write would compile at every start: each module has its byte code, whatever its file's time."""
    compiled = [Path(cache_from_source(str(path))) for path in image.site_packages.rglob("*.py")]
    assert [path for path in compiled if not path.exists()] == []
    assert {path.read_bytes()[4:8] for path in compiled} == {UNCHECKED}


@pytest.mark.parametrize("architecture", PLATFORMS)
def test_wheels_are_there_for_the_base(architecture: str, tmp_path: Path) -> None:
    """The base has no compiler: what is locked has wheels for its Python, whichever runs this test."""
    python = read_dockerfile()[0].base.removeprefix("python:").partition("-")[0]
    platforms = [f"--platform={platform}" for platform in PLATFORMS[architecture]]
    options = ["-qq", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    target = [f"--python-version={python}", "--implementation=cp", *platforms, f"--dest={tmp_path}"]
    for lock in ("runtime.lock", "build.lock"):
        command = [sys.executable, "-m", "pip", "download", *options, *target, "-r", f"{ROOT}/release/{lock}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
