"""The registry folder: an OCI image layout that is never seen half-written, and names that can't leave it."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.local.registry import (
    CONFIG_MEDIA_TYPE,
    WASM_MEDIA_TYPE,
    Image,
    ImageNotFoundError,
    ImageReference,
    InvalidReferenceError,
    parse_reference,
    read_image,
    write_image,
)

REFERENCE = ImageReference(repository="functions", tag="task-1")


def write(root: Path, reference: ImageReference = REFERENCE, content: bytes = b"component") -> Image:
    """Write an image whose layer is `content`."""
    layer = root / f"{reference.tag}.layer"
    layer.write_bytes(content)
    return write_image(
        root / "registry", reference, config={"name": reference.tag}, layer=layer, media_type=WASM_MEDIA_TYPE
    )


def test_image_is_read_back_by_its_reference(tmp_path: Path) -> None:
    """Config, media type and layer come back as written."""
    written = write(tmp_path)
    image = read_image(tmp_path / "registry", "registry.local/functions:task-1")
    assert image == written
    assert image.config == {"name": "task-1"}
    assert image.media_type == "application/wasm"
    assert image.layer.read_bytes() == b"component"
    assert image.layer_digest == f"sha256:{hashlib.sha256(b'component').hexdigest()}"


def test_folder_is_an_oci_image_layout(tmp_path: Path) -> None:
    """What other OCI tools look for is where the specification says."""
    write(tmp_path)
    folder = tmp_path / "registry" / "functions"
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_text())
    (entry,) = index["manifests"]
    assert index["schemaVersion"] == 2
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "task-1"}
    blobs = {path.name: path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}
    assert all(hashlib.sha256(content).hexdigest() == name for name, content in blobs.items())
    manifest = json.loads(blobs[entry["digest"].removeprefix("sha256:")])
    assert manifest["config"]["mediaType"] == CONFIG_MEDIA_TYPE
    assert manifest["layers"][0]["size"] == len(b"component")
    assert len(blobs) == 3


def test_tag_written_again_is_replaced_and_others_stay(tmp_path: Path) -> None:
    """A later push moves its own tag only: a rollback finds the earlier image."""
    write(tmp_path, ImageReference(repository="functions", tag="first"), b"one")
    write(tmp_path, content=b"two")
    write(tmp_path, content=b"three")
    assert read_image(tmp_path / "registry", "registry.local/functions:first").layer.read_bytes() == b"one"
    assert read_image(tmp_path / "registry", REFERENCE).layer.read_bytes() == b"three"


def test_digest_stays_when_the_same_image_is_written_again(tmp_path: Path) -> None:
    """The same bytes are the same image."""
    assert write(tmp_path).digest == write(tmp_path).digest


@pytest.mark.parametrize("text", ["registry.local/functions:task-2", "registry.local/other:task-1"])
def test_image_not_found_when_nothing_was_pushed(tmp_path: Path, text: str) -> None:
    """A tag or a repository that is not there is one named error."""
    write(tmp_path)
    with pytest.raises(ImageNotFoundError, match=f"^{text}: not found$"):
        read_image(tmp_path / "registry", text)


def test_image_not_found_when_its_layer_is_cut(tmp_path: Path) -> None:
    """A layer that a crash left incomplete is not served."""
    write(tmp_path).layer.write_bytes(b"comp")
    with pytest.raises(ImageNotFoundError, match="its layer is incomplete"):
        read_image(tmp_path / "registry", REFERENCE)


def test_tags_all_stay_when_written_at_once(tmp_path: Path) -> None:
    """Concurrent pushes to one repository lose no tag, and a reader finds what is there at any moment."""
    write(tmp_path)
    references = [ImageReference(repository="functions", tag=f"tag-{number}") for number in range(12)]

    def write_and_read(reference: ImageReference) -> tuple[bytes, bytes]:
        own = write(tmp_path, reference, reference.tag.encode())
        return own.layer.read_bytes(), read_image(tmp_path / "registry", REFERENCE).layer.read_bytes()

    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(write_and_read, references))
    assert seen == [(reference.tag.encode(), b"component") for reference in references]
    for reference in references:
        assert read_image(tmp_path / "registry", reference).config == {"name": reference.tag}


@pytest.mark.parametrize(
    ("text", "repository", "tag"),
    [
        ("registry.local/functions:task-1", "functions", "task-1"),
        ("registry.local/functions", "functions", "latest"),
        ("registry.local/ws-1/my__app.x:V1.2_3", "ws-1/my__app.x", "V1.2_3"),
    ],
)
def test_reference_is_read_in_its_parts(text: str, repository: str, tag: str) -> None:
    """A reference names repository and tag; the tag is `latest` where none is given."""
    assert parse_reference(text) == ImageReference(repository=repository, tag=tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "functions:1",
        "docker.io/functions:1",
        "registry.local/:1",
        "registry.local/functions:",
        "registry.local/../etc:1",
        "registry.local//etc:1",
        "registry.local/functions:../../x",
        "registry.local/Functions:1",
        "registry.local/functions:1\n",
        f"registry.local/functions:{'x' * 129}",
    ],
)
def test_reference_is_refused_when_it_names_no_image_here(text: str) -> None:
    """Another host, and names that the specification does not allow, are invalid."""
    with pytest.raises(InvalidReferenceError):
        parse_reference(text)
