"""POST /scaffold: the SpinApp manifest of an image as YAML, in the answer and, if asked for, in a file."""

import json
from pathlib import Path
from typing import Any

from gateway.local.builder.bodies import ScaffoldBody
from gateway.local.builder.source import strip_name
from gateway.local.registry import InvalidReferenceError, parse_reference


class ScaffoldError(Exception):
    """The manifest can't be made; the message is the answer's `error`."""


def scaffold(body: ScaffoldBody, folder: Path) -> dict[str, Any]:
    """Answer the call; a failure is an answer too. Files are only written below `folder`."""
    try:
        content = _yaml(body)
        path = _write(content, body.output_path, folder) if body.output_path else None
    except (ScaffoldError, OSError) as error:
        return {"success": False, "yaml_content": None, "file_path": None, "error": str(error)}
    return {"success": True, "yaml_content": content, "file_path": path, "error": None}


def _yaml(body: ScaffoldBody) -> str:
    try:
        reference = parse_reference(body.image_ref)
    except InvalidReferenceError as error:
        raise ScaffoldError(str(error)) from error
    if body.replicas < 0:
        raise ScaffoldError("the minimum replica count must be greater than or equal to 0")
    name = strip_name(reference.repository.rpartition("/")[2])
    lines = [
        "apiVersion: core.spinkube.dev/v1alpha1",
        "kind: SpinApp",
        "metadata:",
        f"  name: {name}",
        "spec:",
        f'  image: "{reference}"',
        "  executor: containerd-shim-spin",
        f"  replicas: {body.replicas}",
    ]
    if body.component:
        lines += ["  components:", f"    - {json.dumps(body.component)}"]
    return "\n".join(lines) + "\n"


def _write(content: str, output_path: str, folder: Path) -> str:
    path = (folder / output_path.lstrip("/")).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ScaffoldError(f"{output_path}: outside of the builder's folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return str(path)
