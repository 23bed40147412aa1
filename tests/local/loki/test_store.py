"""The Loki stand-in's file: how it is bounded."""

import sqlite3
import time
from pathlib import Path

from gateway.local.loki.logql import parse_log_query
from gateway.local.loki.store import MAX_AGE_NS, LineStore, NewLine


def test_store_is_bounded_by_age_and_size(tmp_path: Path) -> None:
    """Lines over a week old go, then the oldest until the file is small enough; streams without lines go too."""
    now = time.time_ns()
    path = tmp_path / "lines.sqlite"
    with LineStore(path, max_size_bytes=400_000) as store:
        store.append([({"pod": "old"}, [NewLine(now - MAX_AGE_NS - 1, "unknown", "old")])])
        store.append([({"pod": "new"}, [NewLine(now + n, "unknown", f"{n:04}" * 100) for n in range(2000)])])
        store.trim(now)
        found = store.read(parse_log_query('{pod=~".+"}'), 0, 2**62, 5000, newest_first=False)
        assert [labels["pod"] for labels, _ in found] == ["new"]
        kept = [line.line[:4] for _, lines in found for line in lines]
        assert kept[-1] == "1999"
        assert 500 < len(kept) < 900
        store.append([({"pod": "old"}, [NewLine(now, "unknown", "again")])])
        assert store.list_streams(now, now + 1)[-1] == {"pod": "old"}
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA page_count").fetchone()[0] * 4096 < 600_000
    database.close()
