"""Carries tasks through their phases, two at a time: fetch, build, store the artifact, push.

A task that is under way when this process ends keeps its phase for ever, as it does in the real service.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.local.builder.bucket import Bucket
from gateway.local.builder.config import BuilderConfig
from gateway.local.builder.source import MANIFEST, BuildError, Source, file_name, read_source, unpack
from gateway.local.builder.tasks import Phase, Task, Tasks
from gateway.local.builder.toolchain import Artifact, Toolchain
from gateway.local.registry import InvalidReferenceError, parse_reference, write_image

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a task is to do: build from `source_path` (S3) or a folder, and push to `image` unless it is None."""

    task: Task
    source_path: str | None = None
    folder: Path | None = None
    image: str | None = None


class Builds:
    """The builds under way; `running` ends them with the process."""

    def __init__(self, config: BuilderConfig, tasks: Tasks, bucket: Bucket, toolchain: Toolchain) -> None:
        self._registry = config.registry
        self._faults = config.faults
        self._folders = config.data_dir / "tmp"
        self._tasks = tasks
        self._bucket = bucket
        self._toolchain = toolchain
        self._under_way: set[asyncio.Task[None]] = set()
        # Last in, first out: one build after the other finds the same slot's warm mypy cache.
        self._slots: asyncio.LifoQueue[int] = asyncio.LifoQueue()
        for slot in reversed(range(config.concurrency)):
            self._slots.put_nowait(slot)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Kill what is being built, and wait for its end, when the block is left.

        What a process before this one left half built goes first.
        """
        await asyncio.to_thread(shutil.rmtree, self._folders, ignore_errors=True)
        self._folders.mkdir(parents=True)
        try:
            yield
        finally:
            for build in self._under_way:
                build.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def start(self, job: Job) -> None:
        """Begin a job as soon as a slot is free; how it goes is told by its task alone."""
        build = asyncio.create_task(self._carry(job))
        self._under_way.add(build)
        build.add_done_callback(self._under_way.discard)

    async def _carry(self, job: Job) -> None:
        slot = await self._slots.get()
        folder = await asyncio.to_thread(_make_folder, self._folders)
        try:
            await self._build(job, folder, slot)
        except BuildError as error:
            job.task.error = str(error)
            await self._tasks.enter(job.task, Phase.FAILED)
        except Exception as error:
            logger.exception("task %s", job.task.id)
            job.task.error = f"{type(error).__name__}: {error}"
            await self._tasks.enter(job.task, Phase.FAILED)
        finally:
            self._slots.put_nowait(slot)
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(folder.name + ".tar").unlink(missing_ok=True)

    async def _build(self, job: Job, folder: Path, slot: int) -> None:
        task = job.task
        await self._tasks.enter(task, Phase.BUILDING)
        source = await self._lay_out(job, folder)
        artifact = await self._toolchain.build(source, slot)
        content = await asyncio.to_thread(artifact.path.read_bytes)
        task.wasm_path = await self._bucket.put(f"build-artifacts/{task.id}/{source.app}.wasm", content)
        if job.image is not None:
            await self._tasks.enter(task, Phase.PUSHING)
            task.image_url = await self._push(job.image, source, artifact)
        await self._tasks.enter(task, Phase.DONE)

    async def _lay_out(self, job: Job, folder: Path) -> Source:
        if job.source_path is not None:
            upload = await self._bucket.get(job.source_path)
            return await asyncio.to_thread(unpack, upload, file_name(job.source_path), folder)
        if job.folder is None or not (job.folder / MANIFEST).is_file():
            raise BuildError(f"{MANIFEST} not found in {job.folder}")
        await asyncio.to_thread(shutil.copytree, job.folder, folder, dirs_exist_ok=True)
        return read_source(folder)

    async def _push(self, image: str, source: Source, artifact: Artifact) -> str:
        if self._faults.push_hangs:
            await asyncio.Event().wait()
        if self._faults.push_error is not None:
            raise BuildError(self._faults.push_error)
        try:
            reference = parse_reference(image)
            await asyncio.to_thread(
                write_image,
                self._registry,
                reference,
                config=source.manifest,
                layer=artifact.path,
                media_type=artifact.media_type,
            )
        except (InvalidReferenceError, OSError) as error:
            raise BuildError(f"Failed to push {image}: {error}") from error
        return str(reference)


def _make_folder(parent: Path) -> Path:
    """Make a build's folder; its name is in the tools' messages, so it has no links in it."""
    return Path(tempfile.mkdtemp(prefix="spin_build_", dir=parent)).resolve()
