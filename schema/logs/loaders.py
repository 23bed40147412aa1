"""Reads pages of lines; Loki has no call for many functions, so that each distinct page is one."""

from collections.abc import Mapping

from gateway.records.logs import LogEntryRecord, LogQuery
from gateway.records.pages import Page
from schema.context import Loader, load_each


class LogPageByQueryLoader(Loader[LogQuery, Page[LogEntryRecord]]):
    """The page of each query; the same field asked for twice is read once."""

    async def load_batch(self, keys: tuple[LogQuery, ...]) -> Mapping[LogQuery, Page[LogEntryRecord] | Exception]:
        """Read all pages at the same time."""
        return await load_each(keys, self.resources.loki.query_lines)
