"""From upload to a folder that can be built: names, the Spin manifest, the zip's contents; runs nothing of it."""

import io
import json
import re
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MAX_UNPACKED_BYTES = 256 * 1024 * 1024
"""Five times the largest upload: beyond it a zip is a bomb, not a function."""
MANIFEST = "spin.toml"

_BUILD_COMMAND = re.compile(
    r"\s*componentize-py\s+-w\s+spin-http\s+componentize\s+(?P<module>[A-Za-z_][\w.]*)\s+-o\s+(?P<output>[\w.-]+)\s*"
)
_MANIFEST_OF_ONE_FILE = """\
spin_manifest_version = 2

[application]
name = {app}
version = "0.1.0"

[[trigger.http]]
route = "/..."
component = {app}

[component.{app}]
source = "app.wasm"

[component.{app}.build]
command = "componentize-py -w spin-http componentize {module} -o app.wasm"
"""


class BuildError(Exception):
    """The build can't go on; the message is what the task's `error` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A folder with a function in it; `manifest` is its spin.toml, `module` the Python module to build."""

    root: Path
    app: str
    module: str
    manifest: dict[str, Any]

    @property
    def entry(self) -> Path:
        """The file of `module`; BuildError where there is none."""
        base = self.root.joinpath(*self.module.split("."))
        for path in (base.with_name(base.name + ".py"), base / "__init__.py"):
            if path.is_file():
                return path
        raise BuildError(f"ModuleNotFoundError: No module named '{self.module}'")


def strip_name(name: str) -> str:
    """Take spaces, `-` and `_` out of a name: what is left names the module and the app."""
    return re.sub(r"[\s_-]", "", name)


def file_name(sent: str) -> str:
    """The last part of a file name as a client sent it, whose separators may be another system's."""
    return PurePosixPath(sent.replace("\\", "/")).name


def unpack(upload: bytes, filename: str, root: Path) -> Source:
    """Lay an upload out in the empty folder `root`: a `.py` with a manifest made for it, or a zip with its own."""
    suffix = Path(filename).suffix
    if suffix == ".py":
        _lay_out_module(upload, filename, root)
    elif suffix == ".zip":
        _extract(upload, filename, root)
    else:
        raise BuildError(f"Unsupported file type: {filename!r}. Only .py and .zip files are supported")
    return read_source(root)


def read_source(root: Path) -> Source:
    """Read the manifest of a folder; BuildError says what of it can't be built here."""
    try:
        manifest = tomllib.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BuildError(f"{MANIFEST} not found in {root}") from error
    except (ValueError, OSError) as error:
        raise BuildError(f"{root / MANIFEST}: {error}") from error
    components = manifest.get("component")
    if manifest.get("spin_manifest_version") != 2 or not isinstance(components, dict) or len(components) != 1:
        raise BuildError(f"{root / MANIFEST}: needs spin_manifest_version = 2 and exactly one component")
    ((name, component),) = components.items()
    build = component.get("build") if isinstance(component, dict) else None
    command = build.get("command") if isinstance(build, dict) else None
    match = _BUILD_COMMAND.fullmatch(command) if isinstance(command, str) else None
    if match is None:
        expected = "componentize-py -w spin-http componentize MODULE -o FILE"
        raise BuildError(f"{root / MANIFEST}: the build command of component {name!r} is not `{expected}`")
    application = manifest.get("application")
    app = application.get("name") if isinstance(application, dict) else None
    # The name becomes a part of an S3 key, as it is in the real service; a path separator would leave the folder.
    app = file_name(app) if isinstance(app, str) else name
    return Source(root=root, app=app, module=match["module"], manifest=manifest)


def _lay_out_module(upload: bytes, filename: str, root: Path) -> None:
    module = strip_name(Path(filename).stem)
    if not module:
        raise BuildError(f"Invalid file name: {filename!r} leaves no module name")
    (root / f"{module}.py").write_bytes(upload)
    # A JSON string is a TOML string as well, and a quoted key.
    text = _MANIFEST_OF_ONE_FILE.format(app=json.dumps(module), module=module)
    (root / MANIFEST).write_text(text, encoding="utf-8")


def _extract(upload: bytes, filename: str, root: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(upload)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise BuildError(f"{filename}: larger than {MAX_UNPACKED_BYTES} bytes when unpacked")
            archive.extractall(root)  # zipfile keeps members below the folder and makes no links
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, EOFError) as error:
        # RuntimeError is an encrypted member, NotImplementedError a compression that zipfile does not know.
        raise BuildError(f"Failed to extract {filename}: {error}") from error
