"""What the gateway tells its operators and tests about itself: logging, and the upstream calls of an operation."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One request that went out to a system behind the gateway."""

    system: str
    operation: str


_recorders: ContextVar[tuple[list[UpstreamCall], ...]] = ContextVar("recorders", default=())


def record_call(system: str, operation: str) -> None:
    """Note a request at the moment it is sent, in every recorder around it."""
    for calls in _recorders.get():
        calls.append(UpstreamCall(system, operation))


@contextlib.contextmanager
def recording_calls() -> Iterator[list[UpstreamCall]]:
    """Collect the upstream calls made within the block, those of tasks started in it included."""
    calls: list[UpstreamCall] = []
    token = _recorders.set((*_recorders.get(), calls))
    try:
        yield calls
    finally:
        _recorders.reset(token)


def configure_logging(level: str) -> None:
    """Send every log record to stderr, one line each, from `level` up."""
    logging.basicConfig(
        level=level,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for chatty in ("httpx", "httpcore", "botocore", "aiobotocore", "aiohttp"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
