"""The runner's process: `python -m gateway.local.runner --fd DATA --control-fd CONTROL …`."""

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from gateway.local.runner.runner import RunnerConfig, open_runner
from gateway.local.serving import stand_in_arguments

GRACE_S = 2
"""Seconds for requests under way at the end; the platform kills after 3."""


class Server(uvicorn.Server):
    """A server that leaves signals alone: there are two of them in this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def make_server(app: ASGIApp) -> Server:
    """A server that adds nothing to what functions answer."""
    return Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
    )


async def serve(config: RunnerConfig, data: socket.socket, control: socket.socket) -> None:
    """Serve both sockets until SIGTERM or SIGINT."""
    async with open_runner(config) as runner:
        servers = (make_server(runner.data), make_server(runner.control))

        def stop() -> None:
            for server in servers:
                server.should_exit = True

        for kind in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(kind, stop)
        await asyncio.gather(*(s.serve(sockets=[sock]) for s, sock in zip(servers, (data, control), strict=True)))


def main() -> None:
    """Read the command line and serve."""
    parser = stand_in_arguments("Serve deployed functions.")
    parser.add_argument("--control-fd", type=int, required=True, help="descriptor of the control socket")
    parser.add_argument("--registry", type=Path, required=True, help="folder of images")
    parser.add_argument("--namespaces", default="default", help="namespaces that exist, comma-separated")
    parser.add_argument("--mode", choices=("wasm", "python"), default="wasm", help="what functions run in")
    parser.add_argument("--loki-url", required=True, help="base URL of Loki")
    arguments: argparse.Namespace = parser.parse_args()
    config = RunnerConfig(
        data_dir=arguments.data_dir,
        registry=arguments.registry,
        namespaces=tuple(arguments.namespaces.split(",")),
        mode=arguments.mode,
        loki_url=arguments.loki_url,
    )
    data, control = socket.socket(fileno=arguments.fd), socket.socket(fileno=arguments.control_fd)
    asyncio.run(serve(config, data, control))


if __name__ == "__main__":
    main()
