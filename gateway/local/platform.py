"""`blue-gateway local`: starts the platform on one machine, says what runs where, and ends all of it.

What runs is listed in services.py, how one service is kept running in supervision.py.
"""

import argparse
import asyncio
import contextlib
import errno
import ipaddress
import os
import signal
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from gateway.local.environment import forget_decided
from gateway.local.folder import FolderError, locked_folder
from gateway.local.processes import listen
from gateway.local.sample import SampleError, create_sample
from gateway.local.services import LocalOptions, Names, Plan
from gateway.local.starter import starter_ended
from gateway.local.supervision import BoundedLog, Service, ServiceError, SupervisedService
from gateway.settings import SettingsError, load_settings

GATEWAY_GRACE_S = 2.5
OTHERS_GRACE_S = 2.0  # after the gateway: 4.5 s in all, then nothing is left
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class StartError(Exception):
    """The platform can't be started as asked; the message is one line."""


def run_local(args: argparse.Namespace) -> int:
    """Run the platform until Ctrl-C or SIGTERM; answers 0, 1 when a service failed, 2 when it can't be started."""
    started = time.monotonic()
    forget_decided()
    try:
        _require_packages()
        with locked_folder(Path(args.data_dir)):
            options = _options(args)
            return asyncio.run(_Platform(options, started).run())
    except (StartError, FolderError, SettingsError) as error:
        print(f"blue-gateway local: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the signal handlers were there
        return 130


def _require_packages() -> None:
    if find_spec("moto") is None:
        raise StartError("the local platform needs more packages: pip install 'blue-faas-gateway[local]'")


def _options(args: argparse.Namespace) -> LocalOptions:
    try:
        listener = listen(args.host, args.port)
    except (OSError, OverflowError, UnicodeError) as error:  # the last: a name that can't be written in DNS
        raise StartError(_why_no_listener(args.host, args.port, error)) from error
    address, port = listener.getsockname()[:2]
    mode: str = args.runner
    if mode == "wasm" and (why := _why_no_wasm()):
        _say(f"! Functions run in Python processes: {why}.")
        mode = "python"
    return LocalOptions(
        host=args.host,
        port=port,
        listener=listener,
        allowed_hosts=_hosts_of(address, args.host),
        data_dir=Path(args.data_dir).resolve(),  # the services and their steps run in folders of their own
        mode=mode,
        empty=args.empty,
        step_timeout_s=args.step_timeout_s,
        loki_url=args.loki_url,
        prometheus_url=args.prometheus_url,
        builder_url=args.builder_url,
    )


def _why_no_listener(host: str, port: int, error: OSError | OverflowError | UnicodeError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).removesuffix(".")
    wrong_host = isinstance(error, (socket.gaierror, UnicodeError)) or (
        isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL
    )
    return f"can't listen on {host}:{port}: {reason}; choose another with {'--host' if wrong_host else '--port'}"


def _hosts_of(address: str, host: str) -> tuple[str, ...]:
    """What requests may name as their host where the gateway listens on loopback; elsewhere any, which is none."""
    if not ipaddress.ip_address(address).is_loopback:
        return ()
    public = urlsplit(load_settings().public_url or "").hostname
    return tuple(dict.fromkeys((*LOOPBACK_HOSTS, host, *((public,) if public else ()))))


def _why_no_wasm() -> str | None:
    """Why WebAssembly can't be used on this machine; None when it can."""
    for package, purpose in (("wasmtime", "runs"), ("componentize_py", "builds")):
        if find_spec(package) is None:
            name = package.replace("_", "-")
            return f"{name}, which {purpose} WebAssembly, is not installed (no wheel for this machine?)"
    return None


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that hung up takes no more
        print(text, flush=True)


class _Platform:
    """The running platform."""

    def __init__(self, options: LocalOptions, started: float) -> None:
        self._options = options
        self._started = started
        self._running: list[SupervisedService] = []
        self._hurry = asyncio.Event()
        self._new = not (options.data_dir / "aws").exists()

    async def run(self) -> int:
        """Start everything, wait for the end, end everything."""
        stop = asyncio.Event()
        self._handle_signals(stop)
        work = asyncio.create_task(self._bring_up_and_keep())
        watches = [asyncio.create_task(stop.wait()), asyncio.create_task(starter_ended())]
        try:
            await asyncio.wait({work, *watches}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        except ServiceError as error:
            print(f"\nblue-gateway local: {error}", file=sys.stderr, flush=True)
            return 1
        else:
            _say("\nStopping …")
            return 0
        finally:
            for task in (work, *watches):
                task.cancel()
            await asyncio.gather(work, *watches, return_exceptions=True)
            await self._end_everything()

    def _handle_signals(self, stop: asyncio.Event) -> None:
        def on_signal() -> None:
            if stop.is_set():
                self._hurry.set()  # Ctrl-C again: no more patience
            stop.set()

        loop = asyncio.get_running_loop()
        for kind in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(kind, on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants us to live on
            loop.add_signal_handler(signal.SIGHUP, on_signal)

    async def _bring_up_and_keep(self) -> None:
        settings = load_settings(host=self._options.host, port=self._options.port)
        names = Names(
            region=settings.aws_region, table=settings.dynamodb_table_name, bucket=settings.s3_bucket_name
        )
        plan = Plan(self._options, names)
        self._options.listener.close()  # the gateway opens its own
        _say(f"Starting the platform in {self._options.data_dir} …")
        try:
            async with asyncio.TaskGroup() as starts:
                for service in plan.others:
                    starts.create_task(self._start(service))
                starts.create_task(self._start_gateway(plan))
            for name, url in plan.given.items():
                _say(f"  {name:<24}{url}  (given)")
            await self._greet(plan)
            async with asyncio.TaskGroup() as keeping:
                for running in self._running:
                    keeping.create_task(running.keep_running())
        except* ServiceError as errors:
            raise errors.exceptions[0] from None

    async def _start(self, service: Service) -> None:
        log = BoundedLog(self._options.data_dir / "logs" / f"{service.log_name}.log")
        supervised = SupervisedService(service, log, _say)
        self._running.append(supervised)
        try:
            await supervised.start()
        except ServiceError as error:
            if service.instead is None:
                raise
            _say(f"! {error}\n  The stand-in takes its place.")
            self._running.remove(supervised)
            await supervised.stop()
            await self._start(service.instead())
            return
        _say(f"  {service.name:<24}{service.url}")

    async def _start_gateway(self, plan: Plan) -> None:
        """Start the AWS stand-in, prepare the table and the bucket, then start the gateway on them."""
        await self._start(plan.aws)
        from gateway.services.migrate import prepare_table  # half a second, which the others start in

        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(plan.aws.env)  # the SDK reads credentials there
        try:
            await prepare_table(load_settings())
        except Exception as error:  # whatever it is, the developer needs to see it and the services have to end
            raise ServiceError(f"the table could not be prepared: {type(error).__name__}: {error}") from error
        await self._start(plan.gateway)

    async def _greet(self, plan: Plan) -> None:
        sample = ""
        if self._new and not self._options.empty:
            try:
                sample = f"  Sample     {await create_sample(plan.gateway.url)}\n"
            except SampleError as error:
                _say(f"! The sample workspace could not be made: {error}")
        if self._options.mode == "python":
            _say("! Functions run as plain Python processes, NOT in a sandbox: run only code you trust.")
        else:
            _say("  Functions run as WebAssembly components, each request in a sandbox of its own.")
        took_s = time.monotonic() - self._started
        _say(
            f"\n  Explorer   {plan.gateway.url}/graphql\n{sample}"
            f"  Logs       {self._options.data_dir / 'logs'}\n\n"
            f"Ready in {took_s:.1f} s. Ctrl-C ends it."
        )

    async def _end_everything(self) -> None:
        """The gateway first, so that its callers are answered while all behind it is there; then the rest."""
        ending = asyncio.create_task(self._stop_in_order())
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ending, hurry}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            ending.cancel()
            await asyncio.gather(ending, *(service.stop(0) for service in self._running), return_exceptions=True)
        hurry.cancel()

    async def _stop_in_order(self) -> None:
        gateway = [service for service in self._running if service.service.name == "gateway"]
        for service in gateway:
            await service.stop(GATEWAY_GRACE_S)
        await asyncio.gather(
            *(service.stop(OTHERS_GRACE_S) for service in self._running if service not in gateway)
        )
