"""The HTTP client that pages are read with: a page asks Loki and Prometheus seven times.

aiohttp, which the AWS SDK brings along, takes 0.1 ms of CPU a request where httpx takes 0.7; commands, uploads and
streams stay with httpx (http.py).
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses

import aiohttp

from gateway.telemetry import record_call
from gateway.upstream.http import CONNECT_TIMEOUT_S, READ_TIMEOUT_S

MAX_CONNECTIONS = 100
"""As with httpx; a page needs seven."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Room for the 100 lines of a page, 256 KB each, with much that is escaped; others have a few 100 KB."""


class NoAnswerError(Exception):
    """The system could not be reached, or its answer broke off; the message says how."""


class AnswerTooLargeError(Exception):
    """The answer has more than MAX_ANSWER_BYTES, which the message says."""

    def __init__(self) -> None:
        super().__init__(f"more than {MAX_ANSWER_BYTES // 1024**2} MB")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read as a whole."""

    status: int
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether it is the one that was hoped for."""
        return self.status == HTTPStatus.OK

    @property
    def is_transient(self) -> bool:
        """Whether another try may get another one."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def text(self) -> str:
        """The body on one line, or the status in words where there is none."""
        if text := " ".join(self.content.decode(errors="replace").split()):
            return text
        return responses.get(self.status, "an unknown status")


class QueryClient:
    """Sends queries to one system; each request is recorded as `METHOD /path`."""

    def __init__(self, system: str, base_url: str, session: aiohttp.ClientSession) -> None:
        self._system = system
        self._base_url = base_url.rstrip("/")
        self._session = session

    async def get(self, path: str, params: Mapping[str, str]) -> Answer:
        """GET with a query string; raises NoAnswerError and AnswerTooLargeError."""
        record_call(self._system, f"GET {path}")
        return await _read(self._session.get(self._base_url + path, params=params, allow_redirects=False))

    async def post(self, path: str, form: Mapping[str, str]) -> Answer:
        """POST a form, whose length nothing limits; raises NoAnswerError and AnswerTooLargeError."""
        record_call(self._system, f"POST {path}")
        return await _read(self._session.post(self._base_url + path, data=form, allow_redirects=False))


async def _read(request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> Answer:
    try:
        async with request as response:
            return Answer(response.status, await _read_body(response))
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from error  # timeouts may have no text


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    parts = []
    size_bytes = 0
    async for part in response.content.iter_any():
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError  # leaving the response half read closes its connection
    return b"".join(parts)


@asynccontextmanager
async def open_query_client(system: str, base_url: str) -> AsyncIterator[QueryClient]:
    """Open the one client of `system` for the life of the process."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield QueryClient(system, base_url, session)
