"""From a folder with a function in it to the artifact that is deployed: type check, build, compilation.

The tools are those of production (mypy, componentize-py); their words are what a failed build says.
"""

import asyncio
import re
import shutil
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import gateway
from gateway.local.builder.config import BuilderConfig, Mode
from gateway.local.builder.source import BuildError, Source
from gateway.local.builder.steps import StepResult, StepTimeoutError, run_step
from gateway.local.registry import PYTHON_MEDIA_TYPE, WASM_MEDIA_TYPE
from gateway.local.runner.precompile import compiled_cache

GUEST_PYTHON = "3.12"
"""What componentize-py 0.17 puts into a component."""
IMPORT_MEMORY_MB = 1024
"""Address space for a module's import in CPython; above the largest function (1024 MB is no resident size)."""
KEPT_CHARACTERS = 8000
"""Of a tool's words: the error is an attribute of a table item, which holds 400 KB in all."""
HINT = """\
hint: a function is a module with this class:

from spin_sdk import http
from spin_sdk.http import Request, Response


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        return Response(200, {"content-type": "text/plain"}, bytes("Hello", "utf-8"))"""

_COMPONENTIZE = "from componentize_py import script; script()"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What was built, and the media type it has as a layer."""

    path: Path
    media_type: str


class Toolchain:
    """The tools, with the folders they keep over builds; `prepare` comes before the first build."""

    def __init__(self, config: BuilderConfig) -> None:
        self._config = config
        self._sdk = config.data_dir / "sdk" / version("spin-sdk")

    def prepare(self) -> None:
        """Lay out a virtual environment that holds the SDK alone.

        A function must not find the gateway's own dependencies, which production's builder does not have;
        and componentize-py searches all of what it is given: 260 packages cost a second.
        """
        site_packages = self._sdk / "lib" / "python3" / "site-packages"
        found = find_spec("spin_sdk")
        if site_packages.exists() or found is None or not found.submodule_search_locations:
            return
        half = self._sdk.with_suffix(".half")
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(
            found.submodule_search_locations[0],
            half / "lib" / "python3" / "site-packages" / "spin_sdk",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        half.replace(self._sdk)

    async def build(self, source: Source, slot: int) -> Artifact:
        """Build the artifact into the source's folder; BuildError in the tools' words.

        Builds with the same `slot` share mypy's cache and must not run at the same time.
        """
        await self._check_types(source, slot)
        if self._config.mode is Mode.PYTHON:
            await self._check_import(source)
            return await asyncio.to_thread(_pack, source)
        wasm = await self._componentize(source)
        await self._precompile(wasm)
        return Artifact(wasm, WASM_MEDIA_TYPE)

    async def _check_types(self, source: Source, slot: int) -> None:
        command = [sys.executable, "-I", "-m", "mypy", "--config-file=", "--ignore-missing-imports"]
        command += ["--show-column-numbers", "--show-absolute-path", "--no-color-output", "--no-error-summary"]
        command += ["--explicit-package-bases", "--cache-dir", str(self._config.data_dir / f"mypy-cache-{slot}")]
        if self._config.mode is Mode.WASM:
            command += ["--python-version", GUEST_PYTHON, "--python-executable", sys.executable]
        result = await self._run("mypy", [*command, str(source.entry)], source.root)
        if result.returncode != 0:
            raise BuildError(f"mypy type check failed:\n{_shorten(result.stdout + result.stderr)}")

    async def _componentize(self, source: Source) -> Path:
        wasm = source.root / "app.wasm"
        command = [sys.executable, "-I", "-c", _COMPONENTIZE, "-w", "spin-http", "componentize", source.module]
        result = await self._run("componentize-py", [*command, "-o", str(wasm)], source.root)
        if result.returncode != 0:
            words = _python_error(result.stderr).replace('"/0/', f'"{source.root}/')
            raise BuildError(_with_hint(f"componentize-py failed:\n{_shorten(words)}"))
        return wasm

    async def _check_import(self, source: Source) -> None:
        script = Path(__file__).with_name("import_check.py")
        command = [sys.executable, "-I", str(script), str(source.root), source.module, str(IMPORT_MEMORY_MB)]
        result = await self._run("the import", command, source.root)
        if result.returncode != 0:
            words = _shorten(result.stderr) or f"the import ended with code {result.returncode}"
            raise BuildError(_with_hint(f"import failed:\n{words}"))

    async def _precompile(self, wasm: Path) -> None:
        command = [sys.executable, "-m", "gateway.local.runner.precompile"]
        command += [str(wasm), str(compiled_cache(self._config.registry))]
        # From where this project's packages are, which need not be installed.
        result = await self._run("the compilation", command, Path(gateway.__file__).parent.parent)
        if result.returncode != 0:
            raise BuildError(f"compilation failed:\n{_shorten(result.stdout + result.stderr)}")

    async def _run(self, name: str, command: Sequence[str], cwd: Path) -> StepResult:
        limit = self._config.step_timeout_s
        # Nothing else of our environment: it holds AWS credentials, and the function's own code runs in there.
        env = {"VIRTUAL_ENV": str(self._sdk), "RUST_BACKTRACE": "0", "PYTHONUTF8": "1"}
        # componentize-py unpacks Python, and leaves it where it is killed; in there it goes at the next start.
        env["TMPDIR"] = str(self._config.data_dir / "tmp")
        try:
            return await run_step(command, cwd=cwd, env=env, timeout_s=limit)
        except StepTimeoutError as error:
            raise BuildError(
                f"{name} did not finish within {limit:g} s and was stopped\n"
                "hint: a module's top-level code runs during the build; a loop there never ends"
            ) from error


def _python_error(stderr: str) -> str:
    """The guest's traceback out of componentize-py's own, which wraps it; as it is where it looks otherwise."""
    match = re.search(r"^AssertionError: (.*?)\s*^Caused by:\s*(.*)", stderr, re.DOTALL | re.MULTILINE)
    if match is None:
        return stderr.strip()
    return match[1].strip("\n") or match[2].strip()


def _with_hint(words: str) -> str:
    return f"{words}\n{HINT}" if "has no attribute 'IncomingHandler'" in words else words


def _shorten(words: str) -> str:
    words = words.strip()
    half = KEPT_CHARACTERS // 2
    return words if len(words) <= KEPT_CHARACTERS else f"{words[:half]}\n…\n{words[-half:]}"


def _pack(source: Source) -> Artifact:
    """Tar the folder, the same bytes for the same files, so that an unchanged function is an unchanged layer."""
    path = source.root.with_name(source.root.name + ".tar")
    with tarfile.open(path, "w") as archive:
        for file in sorted(source.root.rglob("*")):
            entry = archive.gettarinfo(file, arcname=str(file.relative_to(source.root)))
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            if entry.isfile():
                with file.open("rb") as content:
                    archive.addfile(entry, content)
            elif entry.isdir():
                archive.addfile(entry)
    return Artifact(path, PYTHON_MEDIA_TYPE)
