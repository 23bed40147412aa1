"""One supervised service: what is said and done when it does not start, dies, or writes a lot."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from gateway.local.processes import listen, url_of
from gateway.local.supervision import MAX_LOG_BYTES, BoundedLog, Service, ServiceError, SupervisedService

SERVER = """
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""


def service_of(code: str, log: Path) -> tuple[SupervisedService, asyncio.Queue[str]]:
    """A service that runs Python code with its socket's descriptor as argument, and what it says."""
    listener = listen()
    said: asyncio.Queue[str] = asyncio.Queue()
    service = Service(
        name="part",
        log_name="part",
        command=(sys.executable, "-c", code, str(listener.fileno())),
        url=url_of(listener),
        ready_path="/",
        env=dict(os.environ),
        sockets=(listener,),
    )
    return SupervisedService(service, BoundedLog(log), said.put_nowait), said


async def test_dead_service_is_started_again_at_its_old_address(tmp_path: Path) -> None:
    """A killed service is back without anybody having to learn a new address, and the developer is told."""
    supervised, said = service_of(SERVER, tmp_path / "part.log")
    await supervised.start()
    keeping = asyncio.create_task(supervised.keep_running())
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            first = int((await client.get(supervised.service.url)).text)
            os.kill(first, signal.SIGKILL)
            assert (await said.get()).startswith("! part ended (signal 9), its last words:\n")
            assert await said.get() == "! part is back."
            second = int((await client.get(supervised.service.url)).text)
        assert second != first
    finally:
        keeping.cancel()
        await supervised.stop(1)
        for listener in supervised.service.sockets:
            listener.close()


async def test_service_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """What the process said last is in the message, and in its log."""
    supervised, _ = service_of("raise SystemExit('no such table')", tmp_path / "part.log")
    with pytest.raises(ServiceError) as raised:
        await supervised.start()
    assert str(raised.value) == "part did not start (exit code 1), its last words:\n    no such table"
    assert (tmp_path / "part.log").read_text() == "no such table\n"
    for listener in supervised.service.sockets:
        listener.close()


def test_log_is_bounded(tmp_path: Path) -> None:
    """A service that writes without end fills two files of bounded size."""

    async def write() -> None:
        stream = asyncio.StreamReader()
        for number in range(80):
            stream.feed_data(f"{number:02d}".encode() + b"x" * 65_533 + b"\n")
        stream.feed_eof()
        await BoundedLog(tmp_path / "part.log").copy(stream)

    asyncio.run(write())
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"part.log", "part.log.1"}
    assert max(sizes.values()) <= MAX_LOG_BYTES
    assert (tmp_path / "part.log").read_bytes()[-65_536:-65_534] == b"79"
