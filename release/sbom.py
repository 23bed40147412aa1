"""The image's bill of materials in CycloneDX: `python -m release.sbom`, run by `make sbom`.

It says what release/runtime.lock, licenses.md and the Dockerfile's base say. What is in the base, the base's own
bill of materials says. Needs the tools of release/tools.lock.
"""

import argparse
import base64
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from gateway import __version__
from release.licences import Bundled, bundled_licences, python_licence
from release.locks import Locked, read_lock

ROOT = Path(__file__).parents[1]
EXPLORER = ROOT / "gateway" / "web" / "explorer"
_BASE = re.compile(r"^FROM ([a-z/]+):(\S+)@(sha256:[0-9a-f]{64}) AS base$", re.MULTILINE)


def main() -> None:
    """Write the bill; LicenceError, with nothing written, where a licence is missing or not allowed."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of the image.")
    parser.add_argument("--packages", required=True, help="folder that the locked packages are installed in")
    parser.add_argument("--out", type=Path, help="file to write (default: standard output)")
    arguments = parser.parse_args()
    text = JsonV1Dot6(bill(arguments.packages)).output_as_string(indent=2) + "\n"
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text)
    else:
        sys.stdout.write(text)


def bill(packages: str) -> Any:
    """The bill as a CycloneDX document; `packages` is the folder in which the locked packages are installed."""
    gateway = Component(
        type=ComponentType.APPLICATION,
        name="blue-faas-gateway",
        version=__version__,
        bom_ref="blue-faas-gateway",
        licenses=[_licence("Apache-2.0")],
    )
    components = [_base_image(), *_python_packages(packages), *_bundled()]
    document = Bom(components=components)
    document.metadata.component = gateway
    document.metadata.tools.components.add(this_component())
    document.register_dependency(gateway, components)
    return document


def _base_image() -> Any:
    name, tag, digest = base_image(ROOT / "Dockerfile")
    purl = PackageURL("docker", None, name, digest, {"tag": tag})
    return Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=tag,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
    )


def base_image(dockerfile: Path) -> tuple[str, str, str]:
    """Name, tag and digest of what the image is built from."""
    found = _BASE.search(dockerfile.read_text())
    if found is None:
        raise ValueError(f"{dockerfile.name} has no base that is named with tag and digest")
    name, tag, digest = found.groups()
    return name, tag, digest


def _python_packages(folder: str) -> Iterator[Any]:
    installed = {one.name.lower().replace("_", "-"): one for one in distributions(path=[folder])}
    for locked in read_lock(ROOT / "release" / "runtime.lock"):
        package = installed.get(locked.name)
        if package is None or package.version != locked.version:
            raise ValueError(f"{locked.name} {locked.version} is not installed in {folder}")
        purl = PackageURL("pypi", None, locked.name, locked.version)
        yield Component(
            type=ComponentType.LIBRARY,
            name=locked.name,
            version=locked.version,
            purl=purl,
            bom_ref=str(purl),
            licenses=[_licence(python_licence(package.metadata))],
            external_references=[_distribution(locked, purl)],
        )


def _distribution(locked: Locked, purl: Any) -> Any:
    """The files of which a platform installs one; the hashes of a component would have to hold for all of them."""
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hash_) for hash_ in sorted(locked.hashes)],
    )


def _bundled() -> Iterator[Any]:
    hashes = npm_hashes(EXPLORER / "package-lock.json")
    for bundled in bundled_licences(EXPLORER / "static" / "licenses.md"):
        known = hashes.get((bundled.name, bundled.version))
        purl = _npm_purl(bundled) if known else None
        yield Component(
            type=ComponentType.LIBRARY,
            name=bundled.name,
            version=bundled.version,
            purl=purl,
            bom_ref=str(purl or f"font:{bundled.name}@{bundled.version}"),
            licenses=[_licence(bundled.expression)],
            hashes=[HashType(alg=HashAlgorithm.SHA_512, content=known)] if known else [],
        )


def _npm_purl(bundled: Bundled) -> Any:
    scope, _, name = bundled.name.rpartition("/")
    return PackageURL("npm", scope or None, name, bundled.version)


def npm_hashes(lock: Path) -> dict[tuple[str, str], str]:
    """SHA-512 in hex of what an npm lock names, by name and version."""
    packages = json.loads(lock.read_text())["packages"]
    return {
        (path.rpartition("node_modules/")[2], package["version"]): base64.b64decode(
            package["integrity"].removeprefix("sha512-")
        ).hex()
        for path, package in packages.items()
        if "integrity" in package
    }


def _licence(expression: str) -> Any:
    return LicenseFactory().make_from_string(expression)


if __name__ == "__main__":
    main()
