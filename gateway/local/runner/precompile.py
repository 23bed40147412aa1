"""Compiles a component ahead of time: `python -m gateway.local.runner.precompile WASM CACHE_DIR`.

Takes about 5 s and 440 MB, so it has a process of its own: the builder stand-in runs it as the last step of a
build, the runner where that has not happened. Prints the compiled file's path.
"""

import argparse
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = 20
"""Compiled components in a cache (36 MB each): the least recently used beyond go, and are made again."""


def compiled_cache(registry: Path) -> Path:
    """The folder of compiled components that belongs to a registry: its sibling `compiled`."""
    return registry.parent / "compiled"


def compiled_path(cache: Path, component_sha256: str) -> Path:
    """Where the component of that hash (hex) is when it is compiled, by this wasmtime as it is configured."""
    from gateway.local.runner.wasm.component import CONFIGURATION

    parts = (component_sha256, importlib.metadata.version("wasmtime"), CONFIGURATION, platform.machine())
    return cache / f"{hashlib.sha256(' '.join(parts).encode()).hexdigest()}.cwasm"


def compile_component(component: Path, cache: Path) -> Path:
    """Compile `component` into `cache` unless it is there; whoever looks finds all of the file or none.

    Raises wasmtime.WasmtimeError for what is not a component.
    """
    from wasmtime.component import Component

    from gateway.local.runner.wasm.component import make_engine

    with component.open("rb") as content:
        target = compiled_path(cache, hashlib.file_digest(content, "sha256").hexdigest())
    if target.exists():
        return target
    compiled = Component.from_file(make_engine(), str(component)).serialize()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, delete=False) as writing:
        writing.write(compiled)
    Path(writing.name).replace(target)
    _drop_old(cache)
    return target


def _drop_old(cache: Path) -> None:
    files = sorted(cache.glob("*.cwasm"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT:]:
        path.unlink(missing_ok=True)


def compile_apart(component: Path, cache: Path) -> None:
    """Run this module in a process of its own; ValueError with its words when it fails."""
    from gateway.local.processes import guarded

    command = guarded([sys.executable, "-m", "gateway.local.runner.precompile", component, cache])
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ValueError(result.stderr.strip()[-1000:])


def main() -> None:
    """Compile the file named on the command line."""
    parser = argparse.ArgumentParser(description="Compile a WASM component ahead of time.")
    parser.add_argument("wasm", type=Path, help="the component")
    parser.add_argument("cache_dir", type=Path, help="folder for compiled components")
    arguments = parser.parse_args()
    try:
        print(compile_component(arguments.wasm, arguments.cache_dir))
    except Exception as error:
        raise SystemExit(f"{arguments.wasm.name}: {error}") from error


if __name__ == "__main__":
    main()
