"""The command line: `blue-gateway serve | local | migrate | doctor | schema`."""

import argparse
import asyncio
import logging
import math
import signal
import sys
import time
from collections.abc import Sequence

from gateway import __version__
from gateway.errors import GatewayError
from gateway.records.urls import parse_base_url
from gateway.settings import SettingsError, load_settings
from gateway.telemetry import configure_logging

logger = logging.getLogger(__name__)

USAGE_ERROR = 2
"""What shells and argparse use for a wrong call; here also for wrong settings."""


SOMETHING_IS_WRONG = 1
"""The command ran, and what it answers asks for something to be done."""


DEFAULT_ROWS_PER_S = 500
"""Of `migrate`: about an eighth of what a new on-demand table takes, so that running gateways keep theirs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and answer the process's exit code; what was called wrongly is one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except (SettingsError, GatewayError) as error:
        cause = f" ({error.__cause__})" if isinstance(error, GatewayError) and error.__cause__ else ""
        print(f"blue-gateway: {error}{cause}", file=sys.stderr)  # noqa: T201  # the command line talks to its user
        return USAGE_ERROR
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="blue-gateway", description="The GraphQL gateway of Blue FaaS.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="serve the gateway; settings come from the environment")
    # How `local` starts its gateway; none is any.
    serve.add_argument("--allowed-host", action="append", default=[], help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)

    local = commands.add_parser("local", help="start the whole platform on this machine")
    _add_local_arguments(local)
    local.set_defaults(run=_local)

    migrate = commands.add_parser(
        "migrate",
        help="prepare the table and the bucket, and bring the rows that exist into the gateway's lists",
        description="Can be run again at any time, beside running gateways. Exit code 1: something is left to do.",
    )
    _add_migrate_arguments(migrate)
    migrate.set_defaults(run=_migrate)

    doctor = commands.add_parser(
        "doctor",
        help="check every system and permission that the gateway needs",
        description="Exit code 1: something is wrong. It writes, and removes, a row and an object of its own.",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)

    schema = commands.add_parser("schema", help="print the GraphQL schema")
    schema.set_defaults(run=_schema)
    return parser


def _add_local_arguments(local: argparse.ArgumentParser) -> None:
    local.add_argument("--host", default="127.0.0.1", help="address of the gateway (default: %(default)s)")
    local.add_argument("--port", type=int, default=8000, help="port of the gateway (default: %(default)s)")
    local.add_argument("--data-dir", default=".blue", help="folder for what is kept (default: %(default)s)")
    local.add_argument(
        "--runner",
        choices=["wasm", "python"],
        default="wasm",
        help="how functions run; python is quicker to build and no sandbox (default: %(default)s)",
    )
    local.add_argument(
        "--step-timeout-s", type=seconds, default=60, help="seconds for a step of a build (default: %(default)s)"
    )
    local.add_argument("--empty", action="store_true", help="make no sample workspace")
    for system in ("loki", "prometheus", "builder"):
        local.add_argument(f"--{system}-url", type=service_url, help=f"use this {system} instead of a stand-in")


def _add_migrate_arguments(migrate: argparse.ArgumentParser) -> None:
    migrate.add_argument("--dry-run", action="store_true", help="change nothing; say what would be changed")
    migrate.add_argument(
        "--rate",
        type=float,
        default=DEFAULT_ROWS_PER_S,
        metavar="ROWS",
        help="rows written a second at most, ten times as many read; 0 for no limit (default: %(default)s)",
    )


def seconds(text: str) -> float:
    """A time above 0; argparse names this function where the text is none."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be above 0, and finite")
    return value


def service_url(text: str) -> str:
    """A base URL, as in the settings; argparse names the option where the text is none."""
    try:
        return parse_base_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _serve(arguments: argparse.Namespace) -> int:
    # Until the server has a handler of its own. In a container this is process 1, which no signal ends by default.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from gateway import app, server  # each command loads what it needs: `schema` needs no network
    from gateway.services.migrate import check_prepared

    settings = load_settings()
    configure_logging(settings.log_level)
    try:
        listener = server.listen(settings.host, settings.port)
    except server.ListenError as error:
        raise SettingsError(str(error)) from error
    logger.info("gateway %s, environment %s", __version__, settings.environment)
    draining = asyncio.Event()
    asyncio.run(check_prepared(settings))
    served = app.create_app(
        settings,
        base_url=settings.public_url or server.url_of(listener),
        draining=draining,
        allowed_hosts=arguments.allowed_host,
    )
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


def _migrate(arguments: argparse.Namespace) -> int:
    from gateway.services.migrate import describe, migrate

    if arguments.rate < 0:
        raise SettingsError("--rate: rows a second can't be negative")
    settings = load_settings()
    configure_logging(settings.log_level)
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {line}", file=sys.stderr, flush=True)  # noqa: T201  # the same

    done = asyncio.run(
        migrate(settings, rows_per_s=arguments.rate or None, dry_run=arguments.dry_run, report=report)
    )
    print("\n".join(describe(done, dry_run=arguments.dry_run)))  # noqa: T201  # the command's answer
    return SOMETHING_IS_WRONG if done.problems else 0


def _doctor(arguments: argparse.Namespace) -> int:
    from gateway.records.health import Verdict
    from gateway.services.doctor import examine
    from gateway.services.findings import as_json, as_table

    settings = load_settings()
    logging.disable()  # the findings say it
    findings = asyncio.run(examine(settings))
    print(as_json(findings) if arguments.json else as_table(findings))  # noqa: T201  # the command's answer
    return SOMETHING_IS_WRONG if any(finding.verdict is Verdict.WRONG for finding in findings) else 0


def _schema(_: argparse.Namespace) -> int:
    from gateway.app import schema_text

    print(schema_text(), end="")  # noqa: T201  # the command's answer
    return 0
