"""A function as the zip that the Builder Service builds: its source, and a spin.toml that carries its environment.

The builder's /deploy takes no environment variables, so that they travel in the manifest and end up in the image.
The manifest is the builder's own for a single file, with the environment added: Spin manifest version 2.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping

MODULE = "app"
"""The source's module; the builder's words about it say `app.py`."""
MAX_APP_NAME = 63
"""Characters of a DNS label, which names the function's service."""

_MANIFEST = """\
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


def name_app(function_name: str, function_id: str) -> str:
    """The SpinApp's name of a new function: letters and digits of its name and of its id.

    A DNS label that starts with a letter; the builder's clean-up (no space, `-`, `_`, capitals) leaves it alone.
    """
    unique = _letters_and_digits(function_id)
    words = _letters_and_digits(function_name).lstrip("0123456789")
    return words[: MAX_APP_NAME - len(unique)] + unique


def pack_source(source: bytes, app_name: str, environment: Mapping[str, str]) -> bytes:
    """The zip, which is the same bytes for the same function."""
    manifest = _MANIFEST.format(app=_toml_string(app_name), module=MODULE)
    if environment:
        lines = [f"{_toml_string(name)} = {_toml_string(value)}" for name, value in sorted(environment.items())]
        manifest += f"\n[component.{_toml_string(app_name)}.environment]\n" + "\n".join(lines) + "\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("spin.toml", manifest.encode()), (f"{MODULE}.py", source)):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def _letters_and_digits(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _toml_string(text: str) -> str:
    """A TOML basic string, or a quoted key: JSON's escapes are TOML's, but DEL has to be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
