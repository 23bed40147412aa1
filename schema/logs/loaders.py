"""Reads pages of lines; Loki has no call for many functions, so that each distinct page is one."""

import asyncio
from collections.abc import Mapping

from gateway.records.logs import LogEntryRecord, LogQuery
from gateway.records.pages import Page
from schema.context import Loader


class LogPageByQueryLoader(Loader[LogQuery, Page[LogEntryRecord]]):
    """The page of each query; the same field asked for twice is read once."""

    async def load_batch(self, keys: tuple[LogQuery, ...]) -> Mapping[LogQuery, Page[LogEntryRecord] | Exception]:
        """Read all pages at the same time."""
        pages = await asyncio.gather(
            *(self.resources.loki.query_lines(key) for key in keys), return_exceptions=True
        )
        found: dict[LogQuery, Page[LogEntryRecord] | Exception] = {}
        for key, page in zip(keys, pages, strict=True):
            if isinstance(page, BaseException) and not isinstance(page, Exception):
                raise page
            found[key] = page
        return found
