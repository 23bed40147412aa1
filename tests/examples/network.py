"""A network between a client and a gateway that fails where a test says; what is no WebSocket gets through."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Fault(Enum):
    """What becomes of a WebSocket."""

    REFUSED = "closed before it is open, as where nothing listens"
    CUT = "closed without a word"
    SILENT = "open, but nothing gets through any more"


@dataclass
class Network:
    """Its faults, and what was seen."""

    gateway_port: int
    faults: list[tuple[Fault, int]]
    """Of the first WebSockets, one each, with the number of results that get through; later ones have none."""
    url: str = ""
    subscribed: list[dict[str, Any]] = field(default_factory=list)
    """The variables of each subscription, in order."""
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            is_socket = b"upgrade: websocket" in head.lower()
            if not is_socket:  # one request each, or Node would open a WebSocket on a connection that is at hand
                head = re.sub(rb"(?i)connection: keep-alive", b"connection: close", head)
            fault, results = self.faults.pop(0) if is_socket and self.faults else (None, 0)
            if fault is not Fault.REFUSED:
                gateway_reader, gateway_writer = await asyncio.open_connection("127.0.0.1", self.gateway_port)
                with contextlib.closing(gateway_writer):
                    # Frames are read here, so they must not be compressed.
                    gateway_writer.write(re.sub(rb"(?i)sec-websocket-extensions:.*?\r\n", b"", head))
                    if is_socket:
                        writer.write(await gateway_reader.readuntil(b"\r\n\r\n"))
                        carrier = _Socket(self, fault, results)
                        ways = carrier.up(reader, gateway_writer), carrier.down(gateway_reader, writer)
                    else:
                        ways = _carry(reader, gateway_writer), _carry(gateway_reader, writer)
                    await _until_one_ends(*ways)
        writer.close()


@dataclass
class _Socket:
    network: Network
    fault: Fault | None
    results: int
    is_silent: bool = False

    async def up(self, client: asyncio.StreamReader, gateway: asyncio.StreamWriter) -> None:
        """From the client to the gateway, until the client gives up."""
        while True:
            frame, opcode, content = await _read_frame(client)
            if opcode == 8 and self.is_silent:
                return
            if opcode == 1 and (message := json.loads(content))["type"] == "subscribe":
                self.network.subscribed.append(message["payload"]["variables"])
            if not self.is_silent:
                gateway.write(frame)

    async def down(self, gateway: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """From the gateway to the client, until the fault."""
        while True:
            frame, opcode, content = await _read_frame(gateway)
            client.write(frame)
            if opcode == 1 and json.loads(content)["type"] == "next":
                self.results -= 1
                if self.results == 0 and self.fault is Fault.CUT:
                    return
                if self.results == 0 and self.fault is Fault.SILENT:
                    self.is_silent = True
                    await asyncio.Event().wait()  # not even that the gateway closes gets through


@contextlib.asynccontextmanager
async def network_to(gateway_port: int, *faults: tuple[Fault, int]) -> AsyncIterator[Network]:
    """A network to a gateway on this machine; it waits for its connections to end."""
    network = Network(gateway_port, list(faults))
    server = await asyncio.start_server(network.accept, "127.0.0.1", 0)
    async with server:
        network.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield network
        await asyncio.wait_for(asyncio.gather(*network.connections), 10)


async def _read_frame(reader: asyncio.StreamReader) -> tuple[bytes, int, bytes]:
    """A WebSocket's frame as it came, its opcode, and its content without the mask (RFC 6455, 5.2)."""
    head = await reader.readexactly(2)
    extended = await reader.readexactly({126: 2, 127: 8}.get(head[1] & 127, 0))
    length = int.from_bytes(extended, "big") if extended else head[1] & 127
    mask = await reader.readexactly(4) if head[1] & 128 else b""
    content = await reader.readexactly(length)
    plain = bytes(byte ^ mask[n % 4] for n, byte in enumerate(content)) if mask else content
    return head + extended + mask + content, head[0] & 15, plain


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)


async def _until_one_ends(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
