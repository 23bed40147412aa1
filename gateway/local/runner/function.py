"""What an image says about its function, and how a worker for it is started."""

import asyncio
import re
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gateway.local.registry import (
    PYTHON_MEDIA_TYPE,
    WASM_MEDIA_TYPE,
    Image,
    ImageNotFoundError,
    InvalidReferenceError,
    read_image,
)
from gateway.local.runner.frames import Head
from gateway.local.runner.precompile import compiled_path

Mode = Literal["wasm", "python"]

_MODULE = re.compile(r"\bcomponentize\s+([A-Za-z_][A-Za-z0-9_.]*)")


class ImageError(Exception):
    """The image can't be served; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where images come from, and where what is made of them is kept."""

    registry: Path
    compiled: Path
    sources: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as a worker serves it; `module` is its process, `settings` the first frame to it."""

    module: str
    settings: Head
    cancellable: bool


async def prepare_function(reference: str, memory_bytes: int, folders: Folders, mode: Mode) -> Function:
    """Read an image and make ready what a worker needs of it; ImageError when it can't be served.

    A runner in mode `wasm` refuses Python source: it promises a sandbox. In mode `python` it serves both.
    """
    try:
        image = await asyncio.to_thread(read_image, folders.registry, reference)
    except (ImageNotFoundError, InvalidReferenceError) as error:
        raise ImageError(str(error)) from error
    component = _component(image.config)
    settings = {
        "environment": {name: str(value) for name, value in component.get("environment", {}).items()},
        "variables": _variables(image.config, component),
        "allowed_outbound_hosts": list(component.get("allowed_outbound_hosts", ())),
        "memory_bytes": memory_bytes,
    }
    if image.media_type == WASM_MEDIA_TYPE:
        settings["component"] = str(image.layer)
        settings["compiled"] = str(compiled_path(folders.compiled, image.layer_digest.removeprefix("sha256:")))
        return Function(module="gateway.local.runner.wasm_worker", settings=settings, cancellable=True)
    if image.media_type != PYTHON_MEDIA_TYPE:
        raise ImageError(f"{reference}: a layer of type {image.media_type} can't be run")
    if mode != "python":
        raise ImageError(f"{reference}: Python source is not run by a WASM runner; build it again")
    command = str(component.get("build", {}).get("command", ""))
    found = _MODULE.search(command)
    settings["folder"] = str(await asyncio.to_thread(_unpack, image, folders.sources))
    settings["module"] = found.group(1) if found is not None else "app"
    return Function(module="gateway.local.runner.python_worker", settings=settings, cancellable=False)


def _component(config: dict[str, Any]) -> dict[str, Any]:
    """The one component of a spin.toml (manifest version 2)."""
    components = config.get("component")
    if not isinstance(components, dict) or len(components) != 1:
        raise ImageError("the image's config does not name exactly one component")
    (component,) = components.values()
    if not isinstance(component, dict):
        raise ImageError("the image's config has a component that is not a table")
    return component


def _variables(config: dict[str, Any], component: dict[str, Any]) -> dict[str, str]:
    """The component's variables, with `{{ name }}` replaced by the application's defaults."""
    defaults = {name: str(entry.get("default", "")) for name, entry in config.get("variables", {}).items()}

    def expand(text: str) -> str:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: defaults.get(found.group(1), ""), text)

    return {name: expand(str(text)) for name, text in component.get("variables", {}).items()}


def _unpack(image: Image, sources: Path) -> Path:
    """The folder with the source; made whole under another name first, so that it is never half there."""
    target = sources / image.layer_digest.removeprefix("sha256:")
    if target.is_dir():
        return target
    sources.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=sources))
    try:
        with tarfile.open(image.layer) as archive:
            archive.extractall(making, filter="data")
        making.rename(target)
    except (tarfile.TarError, OSError) as error:
        shutil.rmtree(making)
        raise ImageError(f"{image.reference}: its source can't be unpacked ({error})") from error
    return target


def project_folder() -> str:
    """The folder this project is imported from, for child processes."""
    return str(Path(__file__).parents[3])
