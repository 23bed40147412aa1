"""Which workspace an id belongs to: the mapping never changes, so that it is kept once it was read."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from gateway.upstream.dynamo.keys import Key
from gateway.upstream.dynamo.table import Table

MAX_REMEMBERED = 50_000
"""About 10 MB; the least recently used are read again."""


class Pointers:
    """Reads pointer rows and remembers what they say."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._workspaces: OrderedDict[str, str] = OrderedDict()

    async def workspaces_of(self, ids: Iterable[str], key_of: Callable[[str], Key]) -> dict[str, str]:
        """The workspace of each id that has a pointer; one BatchGetItem for those that are new."""
        wanted = list(dict.fromkeys(ids))
        unknown = {key_of(id_): id_ for id_ in wanted if id_ not in self._workspaces}
        if unknown:
            for key, item in (await self._table.batch_get(unknown, attributes=("workspace_id",))).items():
                if item.get("workspace_id"):
                    self.remember(unknown[key], item["workspace_id"])
        found: dict[str, str] = {}
        for id_ in wanted:
            workspace_id = self._workspaces.get(id_)
            if workspace_id is not None:
                self._workspaces.move_to_end(id_)
                found[id_] = workspace_id
        return found

    def is_known(self, id_: str) -> bool:
        """Whether the id's workspace need not be read."""
        return id_ in self._workspaces

    def remember(self, id_: str, workspace_id: str) -> None:
        """Keep what was just written or read."""
        self._workspaces[id_] = workspace_id
        if len(self._workspaces) > MAX_REMEMBERED:
            self._workspaces.popitem(last=False)

    def forget(self, id_: str) -> None:
        """Drop what was deleted."""
        self._workspaces.pop(id_, None)
