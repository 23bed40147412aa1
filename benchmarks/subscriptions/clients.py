"""A process of subscribers: told on stdin what to watch, it says on stdout how many events came, and how late.

Each line of both is JSON. After the first, a line asks for the events of one sequence number.
"""

import asyncio
import json
import selectors
import sys
import time
from collections import defaultdict
from typing import Any

from benchmarks.subscriptions.sockets import Subscriber

LOOK_S = 0.002
"""Between two looks for what has come. To wake a process that waits costs more than the frame, and the gateway,
which writes it, would pay; clients on other machines do not cost that."""
AT_ONCE = 40
"""Connections that are being opened at a time."""


class UnhurriedSelector(selectors.DefaultSelector):
    """Looks now and then instead of waiting."""

    def select(
        self,
        timeout: float | None = None,  # noqa: ARG002  # the signature of selectors
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready by then."""
        time.sleep(LOOK_S)
        return super().select(0)


class Clients:
    """Subscribers, and what they have received."""

    def __init__(self) -> None:
        self.arrivals: defaultdict[int, list[tuple[str, float]]] = defaultdict(list)
        """By sequence number: the build, and when its event arrived."""
        self.completed = 0
        self.errors: list[Any] = []
        self._first: list[asyncio.Event] = []

    async def connect(self, order: dict[str, Any]) -> None:
        """Open all connections; returns when each has had its first event."""
        slots = asyncio.Semaphore(AT_ONCE)
        builds, numbers = order["builds"], range(order["first"], order["first"] + order["count"])

        async def connect_one(number: int) -> None:
            first = asyncio.Event()

            def take(message: dict[str, Any], now: float) -> None:
                first.set()
                self._take(message, now, f"op-{number}")

            async with slots:
                loop = asyncio.get_running_loop()
                await loop.create_connection(
                    lambda: Subscriber(number, builds[number % len(builds)], take),
                    order["host"],
                    order["port"],
                    local_addr=(order["from"], 0),
                )
                await asyncio.wait_for(first.wait(), 60)

        await asyncio.gather(*map(connect_one, numbers))

    def _take(self, message: dict[str, Any], now: float, expected_id: str) -> None:
        if message["type"] == "complete":
            self.completed += 1
        elif message["type"] != "next" or message["id"] != expected_id or "errors" in message["payload"]:
            self.errors.append(message)
        else:
            event = message["payload"]["data"]["buildProgress"]
            self.arrivals[event["sequence"]].append((event["build"]["id"], now))


async def main() -> None:
    """Follow the orders until stdin ends."""
    clients, loop = Clients(), asyncio.get_running_loop()
    began = time.monotonic()
    await clients.connect(json.loads(sys.stdin.readline()))
    print(json.dumps({"took_s": time.monotonic() - began}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        question = json.loads(line)
        arrivals = clients.arrivals[question["sequence"]]
        answer = {"arrivals": arrivals, "completed": clients.completed, "errors": clients.errors[:3]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(UnhurriedSelector())) as runner:
        runner.run(main())
