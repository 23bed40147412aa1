"""`python -m tests.builds.replicas.skewed SECONDS`: the gateway with a clock that is ahead by so many seconds."""

import asyncio
import sys
from datetime import datetime, timedelta

from gateway import app, server
from gateway.records.clock import system_clock
from gateway.settings import load_settings
from gateway.telemetry import configure_logging


def main() -> None:
    """Serve until SIGTERM."""
    ahead = timedelta(seconds=float(sys.argv[1]))

    def clock() -> datetime:
        return system_clock() + ahead

    settings = load_settings()
    configure_logging(settings.log_level)
    listener = server.listen(settings.host, settings.port)
    draining = asyncio.Event()
    served = app.create_app(settings, base_url=server.url_of(listener), draining=draining, clock=clock)
    server.run(
        served,
        listener,
        draining=draining,
        drain_timeout_s=settings.drain_timeout_s,
        max_body_bytes=settings.max_body_bytes,
    )


if __name__ == "__main__":
    main()
