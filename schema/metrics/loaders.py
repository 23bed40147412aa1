"""Reads series; those of many functions together."""

from collections.abc import Mapping

from gateway.records.metrics import MetricQuery, MetricSeriesRecord
from schema.context import Loader


class MetricSeriesByQueryLoader(Loader[MetricQuery, MetricSeriesRecord]):
    """The series of each query: two calls for each kind, window and step, however many functions there are."""

    async def load_batch(
        self, keys: tuple[MetricQuery, ...]
    ) -> Mapping[MetricQuery, MetricSeriesRecord | Exception]:
        """Read all series at the same time."""
        return await self.resources.prometheus.query_series(keys)
