"""Which services make up the local platform, and what each is told about the others.

The sockets are opened here, before anything runs, so that every address is known to everybody from the start. The
platform keeps them open: a stand-in that is started again has its old address, and callers wait in the backlog.
"""

import dataclasses
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.local import registry
from gateway.local.environment import gateway_environment, stand_in_environment
from gateway.local.processes import listen, url_of
from gateway.local.real_servers import loki_service, prometheus_service
from gateway.local.supervision import Service

NAMESPACE = "default"
PYTHON = (sys.executable, "-P", "-m")
"""Without the folder it is started in: a schema.py or moto.py there is somebody else's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """What `blue-gateway local` was asked for."""

    host: str
    port: int
    listener: socket.socket
    """Holds the port until the other services have theirs: one of them would take it."""
    allowed_hosts: tuple[str, ...]
    """Which the gateway answers to; none is any."""
    data_dir: Path
    mode: str
    empty: bool
    step_timeout_s: float
    loki_url: str | None
    prometheus_url: str | None
    builder_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Where the gateway's own data is."""

    region: str
    table: str
    bucket: str


class Plan:
    """The services to start (`aws` before `gateway`, `others` at any time), and the addresses `given`."""

    def __init__(self, options: LocalOptions, names: Names) -> None:
        self._options = options
        self._names = names
        self._registry = f"--registry={options.data_dir / 'registry'}"
        self.others: list[Service] = []
        self.given: dict[str, str] = {}
        aws_socket = listen()
        self._env = stand_in_environment(url_of(aws_socket), names.region)
        self.aws = self._stand_in("aws", "dynamodb, s3", "/moto-api/", aws_socket)
        self._functions, self._control = listen(), listen()
        told = {
            "loki_service_url": self._loki(),
            "prometheus_service_url": self._prometheus(),
            "builder_service_url": self._builder(),
        }
        self._runner(told["loki_service_url"])
        self.gateway = self._gateway(told)

    def _stand_in(
        self, part: str, name: str, ready_path: str, listener: socket.socket, *arguments: str
    ) -> Service:
        folder = self._options.data_dir / part
        folder.mkdir(parents=True, exist_ok=True)
        standard = (f"--fd={listener.fileno()}", f"--data-dir={folder}")
        return Service(
            name=name,
            log_name=part,
            command=(*PYTHON, f"gateway.local.{part}", *standard, *arguments),
            url=url_of(listener),
            ready_path=ready_path,
            env=self._env,
            sockets=(listener,),
        )

    def _loki(self) -> str:
        if self._options.loki_url is not None:
            return self._use_given("loki", self._options.loki_url)
        real = loki_service(self._options.data_dir / "loki-server", self._env)
        return self._start_either(real, "loki", "loki (stand-in)", "/ready")

    def _prometheus(self) -> str:
        if self._options.prometheus_url is not None:
            return self._use_given("prometheus", self._options.prometheus_url)
        metrics_url = url_of(self._control) + "/metrics"
        real = prometheus_service(self._options.data_dir / "prometheus-server", metrics_url, self._env)
        return self._start_either(
            real, "prometheus", "prometheus (stand-in)", "/-/ready", f"--target={metrics_url}"
        )

    def _builder(self) -> str:
        if self._options.builder_url is not None:
            return self._use_given("builder", self._options.builder_url)
        arguments = (
            self._registry,
            f"--kubernetes-url={url_of(self._control)}",
            f"--mode={self._options.mode}",
            "--dialect=running",
            f"--namespaces={NAMESPACE}",
            f"--table={self._names.table}",
            f"--bucket={self._names.bucket}",
            f"--step-timeout-s={self._options.step_timeout_s}",
        )
        return self._start(self._stand_in("builder", "builder", "/health", listen(), *arguments))

    def _runner(self, loki_url: str) -> None:
        arguments = (
            f"--control-fd={self._control.fileno()}",
            self._registry,
            f"--namespaces={NAMESPACE}",
            f"--mode={self._options.mode}",
            f"--loki-url={loki_url}",
        )
        service = self._stand_in("runner", "runner, kubernetes", "/metrics", self._functions, *arguments)
        # Its data socket answers for functions alone; it is ready when the control socket answers.
        sockets = (self._functions, self._control)
        self._start(dataclasses.replace(service, url=url_of(self._control), sockets=sockets))

    def _gateway(self, told: dict[str, str]) -> Service:
        host, port = self._options.host, self._options.port
        allowed = (f"--allowed-host={name}" for name in self._options.allowed_hosts)
        env = gateway_environment(
            self._env,
            host=host,
            port=str(port),
            dynamodb_table_name=self._names.table,
            s3_bucket_name=self._names.bucket,
            kubernetes_api_url=url_of(self._control),
            invocation_proxy_url=url_of(self._functions),
            function_namespaces=NAMESPACE,
            registry_url=f"{registry.HOST}/functions",
            **told,
        )
        return Service(
            name="gateway",
            log_name="gateway",
            command=(*PYTHON, "gateway", "serve", *allowed),
            url=reachable_url(host, port),
            ready_path="/readyz",
            env=env,
        )

    def _start_either(self, real: Service | None, part: str, name: str, ready_path: str, *arguments: str) -> str:
        """Start the real program; the stand-in where there is none, or something else of that name."""

        def stand_in() -> Service:
            port = 0 if real is None else urlsplit(real.url).port or 0
            return self._stand_in(part, name, ready_path, listen(port=port), *arguments)

        return self._start(stand_in() if real is None else dataclasses.replace(real, instead=stand_in))

    def _start(self, service: Service) -> str:
        self.others.append(service)
        return service.url

    def _use_given(self, name: str, url: str) -> str:
        self.given[name] = url
        return url


def reachable_url(host: str, port: int) -> str:
    """The URL under which this machine reaches a server that listens on `host`."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
