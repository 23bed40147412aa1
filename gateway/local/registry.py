"""The registry of one machine: a folder that holds one OCI image layout per repository.

An image here is one config blob (a Spin application as JSON) and one layer (the WASM component, or the Python
source as a tar). The builder stand-in writes images, the runner reads them; nothing here knows how they are made.
The layout is the OCI specification's image-layout.md: `{repository}/oci-layout`, `index.json` with one manifest
per tag (annotation `org.opencontainers.image.ref.name`), and `blobs/sha256/…`. Tags are never collected: an
earlier deployment's image is needed to roll back.
"""

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "registry.local"
CONFIG_MEDIA_TYPE = "application/vnd.fermyon.spin.application.v1+config"
WASM_MEDIA_TYPE = "application/wasm"
PYTHON_MEDIA_TYPE = "application/vnd.blue.python.source.v1.tar"

_MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
_TAG_ANNOTATION = "org.opencontainers.image.ref.name"
_CHUNK_BYTES = 1024 * 1024

# The distribution specification's grammar of names and tags: neither can leave the folder.
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


class InvalidReferenceError(ValueError):
    """The text does not name an image of this registry."""


class ImageNotFoundError(Exception):
    """The registry has no such image, or what it has of it is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """The name of an image: `registry.local/{repository}:{tag}`."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{HOST}/{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that was read: its config as written, and where its one layer lies.

    `digest` (`sha256:…`) is the manifest's, `layer_digest` the layer's: the same for the same bytes.
    """

    reference: ImageReference
    digest: str
    config: dict[str, Any]
    media_type: str
    layer: Path
    layer_digest: str


def parse_reference(text: str) -> ImageReference:
    """Read `registry.local/{repository}[:{tag}]`; the tag is `latest` where none is given.

    Raises InvalidReferenceError for another host and for what is not a valid name.
    """
    host, _, rest = text.partition("/")
    if host != HOST:
        raise InvalidReferenceError(f"image {text!r} is not on {HOST}, the only registry here")
    repository, _, tag = rest.partition(":")
    reference = ImageReference(repository=repository, tag=tag if ":" in rest else "latest")
    if not _REPOSITORY.fullmatch(reference.repository) or not _TAG.fullmatch(reference.tag):
        raise InvalidReferenceError(f"invalid image reference {text!r}")
    return reference


def write_image(
    root: Path, reference: ImageReference, *, config: dict[str, Any], layer: Path, media_type: str
) -> Image:
    """Store an image under its tag; whoever reads sees the old image or the new one, never half of one."""
    folder = root / reference.repository
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    config_blob = _write_blob(blobs, json.dumps(config, sort_keys=True).encode(), CONFIG_MEDIA_TYPE)
    layer_blob = _copy_blob(blobs, layer, media_type)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST_MEDIA_TYPE,
        "config": config_blob,
        "layers": [layer_blob],
    }
    manifest_blob = _write_blob(blobs, json.dumps(manifest, sort_keys=True).encode(), _MANIFEST_MEDIA_TYPE)
    manifest_blob["annotations"] = {_TAG_ANNOTATION: reference.tag}
    with _locked(folder):
        others = [entry for entry in _read_index(folder) if _tag_of(entry) != reference.tag]
        index = {"schemaVersion": 2, "manifests": [*others, manifest_blob]}
        _replace(folder / "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _replace(folder / "index.json", json.dumps(index).encode())
    return read_image(root, reference)


def read_image(root: Path, reference: ImageReference | str) -> Image:
    """Find an image by reference; raises ImageNotFoundError or InvalidReferenceError."""
    if isinstance(reference, str):
        reference = parse_reference(reference)
    folder = root / reference.repository
    blobs = folder / "blobs" / "sha256"
    entry = next((entry for entry in _read_index(folder) if _tag_of(entry) == reference.tag), None)
    if entry is None:
        raise ImageNotFoundError(f"{reference}: not found")
    try:
        manifest = json.loads(_blob_path(blobs, entry["digest"]).read_bytes())
        config = json.loads(_blob_path(blobs, manifest["config"]["digest"]).read_bytes())
        (layer,) = manifest["layers"]
        path = _blob_path(blobs, layer["digest"])
        if path.stat().st_size != layer["size"]:
            raise ImageNotFoundError(f"{reference}: its layer is incomplete")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageNotFoundError(f"{reference}: damaged ({error})") from error
    return Image(
        reference=reference,
        digest=entry["digest"],
        config=config,
        media_type=layer["mediaType"],
        layer=path,
        layer_digest=layer["digest"],
    )


def _read_index(folder: Path) -> list[dict[str, Any]]:
    try:
        manifests: list[dict[str, Any]] = json.loads((folder / "index.json").read_bytes())["manifests"]
    except FileNotFoundError:
        return []
    return manifests


def _tag_of(entry: dict[str, Any]) -> str | None:
    tag: str | None = entry.get("annotations", {}).get(_TAG_ANNOTATION)
    return tag


def _blob_path(blobs: Path, digest: str) -> Path:
    return blobs / digest.removeprefix("sha256:")


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _write_blob(blobs: Path, content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    _replace(blobs / digest, content)
    return _descriptor(media_type, digest, len(content))


def _copy_blob(blobs: Path, source: Path, media_type: str) -> dict[str, Any]:
    """Copy a layer (37 MB for a component) in chunks, hashing on the way."""
    sha256, size = hashlib.sha256(), 0
    with source.open("rb") as reading, tempfile.NamedTemporaryFile(dir=blobs, delete=False) as writing:
        try:
            while chunk := reading.read(_CHUNK_BYTES):
                sha256.update(chunk)
                size += len(chunk)
                writing.write(chunk)
        except BaseException:
            Path(writing.name).unlink()
            raise
    digest = sha256.hexdigest()
    Path(writing.name).replace(blobs / digest)
    return _descriptor(media_type, digest, size)


def _replace(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as writing:
        writing.write(content)
        writing.flush()
        # kill -9 of the platform must not cost the tag list; the blobs are found damaged by their size.
        os.fsync(writing.fileno())
    Path(writing.name).replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the repository's lock: index.json is read, changed and written by one build at a time."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
