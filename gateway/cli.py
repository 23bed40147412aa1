"""The command line: `blue-gateway serve | local | migrate | schema`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from gateway import __version__
from gateway.errors import GatewayError
from gateway.settings import SettingsError, load_settings
from gateway.telemetry import configure_logging

logger = logging.getLogger(__name__)

USAGE_ERROR = 2
"""What shells and argparse use for a wrong call; here also for wrong settings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and answer the process's exit code; what was called wrongly is one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except (SettingsError, GatewayError) as error:
        print(f"blue-gateway: {error}", file=sys.stderr)  # noqa: T201  # the command line talks to its user
        return USAGE_ERROR
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blue-gateway", description="The GraphQL gateway of Blue FaaS.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the gateway; settings come from the environment")
    serve.set_defaults(run=_serve)

    local = commands.add_parser("local", help="start the whole platform on this machine")
    local.add_argument("--host", default="127.0.0.1", help="address of the gateway (default: %(default)s)")
    local.add_argument("--port", type=int, default=8000, help="port of the gateway (default: %(default)s)")
    local.add_argument("--data-dir", default=".blue", help="folder for what is kept (default: %(default)s)")
    local.add_argument("--runner", choices=["wasm", "python"], default="wasm", help="how functions run")
    local.add_argument(
        "--step-timeout-s", type=float, default=60, help="seconds for a step of a build (default: %(default)s)"
    )
    local.add_argument("--empty", action="store_true", help="make no sample workspace")
    for system in ("loki", "prometheus", "builder"):
        local.add_argument(f"--{system}-url", help=f"use this {system} instead of a stand-in")
    local.set_defaults(run=_local)

    migrate = commands.add_parser("migrate", help="create what is missing of the table and the bucket")
    migrate.set_defaults(run=_migrate)

    schema = commands.add_parser("schema", help="print the GraphQL schema")
    schema.set_defaults(run=_schema)
    return parser


def _serve(_: argparse.Namespace) -> int:
    from gateway import app, server  # each command loads what it needs: `schema` needs no network

    settings = load_settings()
    configure_logging(settings.log_level)
    try:
        listener = server.listen(settings.host, settings.port)
    except server.ListenError as error:
        raise SettingsError(str(error)) from error
    logger.info("gateway %s, environment %s", __version__, settings.environment)
    draining = asyncio.Event()
    served = app.create_app(settings, base_url=settings.public_url or server.url_of(listener), draining=draining)
    server.run(
        served,
        listener,
        draining=draining,
        drain_timeout_s=settings.drain_timeout_s,
        max_body_bytes=settings.max_body_bytes,
    )
    return 0


def _local(arguments: argparse.Namespace) -> int:
    from gateway.local.platform import run_local  # an extra that production does not install

    return run_local(arguments)


def _migrate(_: argparse.Namespace) -> int:
    from gateway.services.migrate import prepare_table

    settings = load_settings()
    configure_logging(settings.log_level)
    done = asyncio.run(prepare_table(settings))
    print("\n".join(done) or "nothing to do")  # noqa: T201  # the command's answer
    return 0


def _schema(_: argparse.Namespace) -> int:
    from gateway.app import schema_text

    print(schema_text(), end="")  # noqa: T201  # the command's answer
    return 0
