"""Which of the Builder Service's rows is about which build of the gateway's or the former backend's; no I/O here.

The gateway notes the task of its builds. The former backend did not: its finished builds name the task in the path
of the artifact, the others are recognised by their name and time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from gateway.records.builder import clean_name
from gateway.records.builds import BuildRecord
from gateway.upstream.dynamo.attributes import Item
from gateway.upstream.dynamo.handovers import TASK_ID, is_task_id

EARLIER = timedelta(seconds=5)
LATER = timedelta(seconds=60)
"""The former backend stored its row, then called the builder, which stored its own once it had the upload."""

_ARTIFACT = re.compile(rf"build-artifacts/({TASK_ID.pattern})/", TASK_ID.flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBuild:
    """A build with the row that it was read from."""

    item: Item
    build: BuildRecord

    @property
    def is_ours(self) -> bool:
        """Written by the gateway, which carries it."""
        return "sequence" in self.item

    @property
    def is_builders(self) -> bool:
        """Written by the Builder Service, whose ids are UUIDs; the former backend's have 22 characters."""
        return not self.is_ours and is_task_id(self.build.id)


def pair_builds(builds: Iterable[StoredBuild]) -> dict[str, StoredBuild]:
    """The builder's row of each build that has one, by the build's id; `builds` are all of one workspace."""
    stored = list(builds)
    tasks = {one.build.id: one for one in stored if one.is_builders}
    mine = [one for one in stored if not one.is_builders]
    pairs: dict[str, StoredBuild] = {}
    for one in mine:
        task = tasks.pop(_named_task(one.build) or "", None)
        if task is not None:
            pairs[one.build.id] = task
    nameless = [one for one in mine if not one.is_ours and _named_task(one.build) is None]
    return pairs | _pair_by_time(nameless, tasks)


def _named_task(build: BuildRecord) -> str | None:
    if build.builder_task_id is not None:
        return build.builder_task_id
    found = _ARTIFACT.search(build.wasm_path or "")
    return found[1] if found else None


def _pair_by_time(nameless: list[StoredBuild], tasks: Mapping[str, StoredBuild]) -> dict[str, StoredBuild]:
    """Pairs where each has the other as its only candidate."""
    candidates = {
        one.build.id: [task for task in tasks.values() if _may_be_one(one.build, task.build)] for one in nameless
    }
    wooed = [task.build.id for found in candidates.values() for task in found]
    return {
        id_: found[0]
        for id_, found in candidates.items()
        if len(found) == 1 and wooed.count(found[0].build.id) == 1
    }


def _may_be_one(build: BuildRecord, task: BuildRecord) -> bool:
    passed = task.created_at - build.created_at
    return -EARLIER <= passed <= LATER and _plain(build.app_name) == _plain(task.app_name)


def _plain(name: str) -> str:
    """An app's name as the builder makes it of a file's."""
    return clean_name(name.removesuffix(".py").removesuffix(".zip")).lower()
