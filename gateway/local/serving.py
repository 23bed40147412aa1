"""How a stand-in is served: on a socket that the platform opened and handed down, so that no port is raced for."""

import argparse
import socket
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp


def stand_in_arguments(description: str) -> argparse.ArgumentParser:
    """The arguments all stand-ins take: the listening socket's descriptor and the folder for what they keep."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--fd", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder for what is kept over restarts")
    return parser


def serve(app: ASGIApp, fd: int, *, log_level: str = "warning") -> None:
    """Serve `app` on the listening socket `fd` until SIGTERM."""
    listener = socket.socket(fileno=fd)
    config = uvicorn.Config(app, log_level=log_level, access_log=False, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])
