"""The samples on disk, so that charts survive a restart; after a kill, up to the last time they were written."""

import logging
import zlib
from array import array
from pathlib import Path

import orjson

from gateway.local.prometheus.samples import SampleStore, Series

logger = logging.getLogger(__name__)


def encode_snapshot(store: SampleStore) -> bytes:
    """Series labels and counts as a line of JSON, then each series' times and values as they are in memory."""
    header = orjson.dumps([[labels, len(series.times_ms)] for labels, series in store.series.items()])
    arrays = [part.tobytes() for series in store.series.values() for part in (series.times_ms, series.values)]
    return b"".join([header, b"\n", *arrays])


def write_snapshot(path: Path, encoded: bytes) -> None:
    """Replace the snapshot at once, so that a kill leaves the old or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(zlib.compress(encoded, level=1))
    fresh.replace(path)


def read_snapshot(path: Path) -> SampleStore:
    """The store of a snapshot; an empty one where there is none, or none that can be read."""
    try:
        header, _, body = zlib.decompress(path.read_bytes()).partition(b"\n")
        series = {}
        offset = 0
        for pairs, count in orjson.loads(header):
            labels = tuple((name, value) for name, value in pairs)
            times, values = array("q"), array("d")
            for part in (times, values):
                part.frombytes(body[offset : offset + 8 * count])
                offset += 8 * count
            series[labels] = Series(dict(labels), times, values)
        return SampleStore(series)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, zlib.error) as error:
        logger.warning("%s can't be read, charts start empty: %s", path, error)
    return SampleStore()
