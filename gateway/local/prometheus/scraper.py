"""Reads the target's exposition every two seconds into the store."""

import asyncio
import logging
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpx

from gateway.local.prometheus.exposition import ExpositionError, Labels, parse_exposition
from gateway.local.prometheus.samples import SampleStore

INTERVAL_S = 2.0
"""A function's first CPU points are there a few seconds after its first request."""
JOB = "runner"

logger = logging.getLogger(__name__)


async def scrape_regularly(store: SampleStore, target: str, *, interval_s: float = INTERVAL_S) -> None:
    """Scrape until cancelled, at multiples of the interval; a target that is away ends its series."""
    async with httpx.AsyncClient(timeout=interval_s, trust_env=False) as client:
        while True:
            await scrape_once(store, client, target, round(time.time() * 1000))
            await asyncio.sleep(interval_s - time.time() % interval_s)


async def scrape_once(store: SampleStore, client: httpx.AsyncClient, target: str, time_ms: int) -> None:
    """Add one scrape to the store, and `up`, which is 1 when it went well."""
    own = (("instance", urlsplit(target).netloc), ("job", JOB))
    samples: Iterable[tuple[Labels, float]] = ()
    up = 1.0
    try:
        response = await client.get(target)
        samples = [
            (tuple(sorted((*labels, *own))), value)
            for labels, value in parse_exposition(response.raise_for_status().text)
        ]
    except (httpx.HTTPError, ExpositionError) as error:
        logger.debug("scraping %s failed: %s", target, error)
        up = 0.0
    store.add_scrape(time_ms, [*samples, ((("__name__", "up"), *own), up)])
