"""`python -m release.sbom`, by the release tools on the packages that the tests run with."""

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__
from release.licences import bundled_licences
from release.locks import read_lock
from tests.image.dockerfile import ROOT, read_dockerfile

pytestmark = pytest.mark.ci

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(error and str(error))
"""


@pytest.fixture(scope="module")
def written(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bill, as `make sbom` writes it."""
    path = tmp_path_factory.mktemp("sbom") / "dist" / "sbom.cdx.json"
    options = ["--packages", sysconfig.get_path("purelib"), "--out", str(path)]
    command = [f"{tools}/python", "-W", "error", "-m", "release.sbom", *options]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def components(written: Path) -> dict[str, Any]:
    """Its components, by their purl; fonts have none."""
    return {one.get("purl", one["bom-ref"]): one for one in json.loads(written.read_text())["components"]}


def validate(tools: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Hold a document against CycloneDX's schema."""
    command = [f"{tools}/python", "-c", VALIDATE, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_bill_is_valid(tools: Path, written: Path, tmp_path: Path) -> None:
    """By the strict schema, which refuses a document with a property of our own."""
    done = validate(tools, written)
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "wrong").write_text(json.dumps({**json.loads(written.read_text()), "ours": 1}))
    assert validate(tools, tmp_path / "wrong").returncode == 1


def test_bill_has_every_package(components: dict[str, Any]) -> None:
    """Each with its version, hashes and licence."""
    for locked in read_lock(ROOT / "release" / "runtime.lock"):
        component = components[f"pkg:pypi/{locked.name}@{locked.version}"]
        (distribution,) = component["externalReferences"]
        assert {hash_["content"] for hash_ in distribution["hashes"]} == locked.hashes
        assert component["licenses"]


def test_bill_has_what_is_bundled(components: dict[str, Any]) -> None:
    """The explorer's packages and fonts, with their licences."""
    bundled = bundled_licences(ROOT / "gateway" / "web" / "explorer" / "static" / "licenses.md")
    scoped = components["pkg:npm/%40graphiql/react@0.39.1"]
    assert (scoped["name"], scoped["licenses"]) == ("@graphiql/react", [{"license": {"id": "MIT"}}])
    assert len(scoped["hashes"][0]["content"]) == 128
    assert len(components) == len(bundled) + len(read_lock(ROOT / "release" / "runtime.lock")) + 1


def test_bill_names_gateway_and_base(written: Path, components: dict[str, Any]) -> None:
    """What it is the bill of, and the image below."""
    assert json.loads(written.read_text())["metadata"]["component"]["version"] == __version__
    name, _, digest = read_dockerfile()[0].base.partition("@")
    base = components[f"pkg:docker/python@{digest}?tag={name.partition(':')[2]}"]
    assert base["type"] == "container"
