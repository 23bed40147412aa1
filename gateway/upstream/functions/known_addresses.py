"""Where the gateway's own upstreams are: the last answer for each stays until there is another one."""

import asyncio
from collections.abc import Callable, Iterable

from gateway.records.hosts import Address
from gateway.upstream.functions.addresses import Resolve

REFRESH_S = 30.0
"""Between two lookups of a name that resolves; Services keep their addresses for life."""
RETRY_S = 1.0
"""After one that failed: until a name has resolved once, nothing protects its addresses."""
MAX_WAIT_S = 1.0
"""From a lookup's start, for which calls wait where nothing is known; resolvers give up after many seconds."""

Place = tuple[str | Address, int]


class KnownAddresses:
    """The addresses of `places`, looked up beside the calls that ask for them; `close` ends that."""

    def __init__(self, places: Iterable[Place], resolve: Resolve, monotonic: Callable[[], float]) -> None:
        self._lookups = [_Lookup(place, resolve, monotonic) for place in places]

    def refresh(self) -> None:
        """Start the lookups that are due."""
        for lookup in self._lookups:
            lookup.start_if_due()

    async def addresses(self) -> set[tuple[Address, int]]:
        """Addresses with ports, as far as they are known; a first lookup is waited for, but not for long."""
        self.refresh()
        if unknown := [lookup for lookup in self._lookups if not lookup.known]:
            await asyncio.gather(*(lookup.wait() for lookup in unknown))
        return {(address, lookup.port) for lookup in self._lookups for address in lookup.known}

    async def close(self) -> None:
        """End the lookups under way."""
        await asyncio.gather(*(lookup.close() for lookup in self._lookups))


class _Lookup:
    """One place: its addresses, and when they are looked up next."""

    def __init__(self, place: Place, resolve: Resolve, monotonic: Callable[[], float]) -> None:
        self.host, self.port = place
        self.known: tuple[Address, ...] = ()
        self._resolve = resolve
        self._monotonic = monotonic
        self._under_way: asyncio.Task[None] | None = None
        self._started = self._due = float("-inf")

    def start_if_due(self) -> None:
        if self._under_way is None and self._monotonic() >= self._due:
            self._started = self._monotonic()
            self._under_way = asyncio.create_task(self._look_up())

    async def wait(self) -> None:
        left_s = self._started + MAX_WAIT_S - self._monotonic()
        if self._under_way is not None and left_s > 0:
            await asyncio.wait({self._under_way}, timeout=left_s)

    async def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.wait({self._under_way})

    async def _look_up(self) -> None:
        wait_s = RETRY_S
        try:
            self.known = await self._resolve(self.host, self.port)
            wait_s = REFRESH_S
        except (OSError, UnicodeError):
            pass  # the name does not resolve, or is none that could
        finally:
            self._due = self._monotonic() + wait_s
            self._under_way = None
