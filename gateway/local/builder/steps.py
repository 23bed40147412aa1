"""One step of a build as a process of its own: bounded in time and in what is kept of its output."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.local.processes import spawn

KEPT_BYTES = 64 * 1024
"""Of each output stream: a loop that prints fills memory or disk otherwise."""


class StepTimeoutError(Exception):
    """The step ran into its limit and was killed with its process group."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended; of each stream the last 64 KB."""

    returncode: int
    stdout: str
    stderr: str


async def run_step(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> StepResult:
    """Run a command to its end; whatever it started is killed with it. Raises StepTimeoutError."""
    child = await spawn(
        *command,
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", os.defpath), **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    readers = [asyncio.create_task(_read_tail(stream)) for stream in (child.stdout, child.stderr)]
    try:
        async with asyncio.timeout(timeout_s):
            returncode = await child.wait()
    except TimeoutError as error:
        raise StepTimeoutError from error
    finally:
        child.kill()  # the group: what the step left running would hold the pipes open
        stdout, stderr = await asyncio.gather(*readers)
        await child.wait()
    return StepResult(returncode, stdout, stderr)


async def _read_tail(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream is not None and (chunk := await stream.read(KEPT_BYTES)):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return kept.decode("utf-8", "replace")
