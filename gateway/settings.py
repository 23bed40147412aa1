"""Every knob of the gateway, read from the environment: its unit, its default and the reason for it.

What the former backend had keeps its name, so that a deployment's environment carries over. Lists are
comma-separated or JSON.
"""

import json
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gateway.records.builder import MAX_REGISTRY_CHARACTERS, REGISTRY
from gateway.records.hosts import DNS_LABEL, HostPattern
from gateway.records.origins import AllowedOrigins
from gateway.records.urls import parse_base_url

BODY_OVERHEAD_BYTES = 256 * 1024
"""Of a request besides the source it carries: the document, and the other variables."""

LOOPBACK_ORIGINS = tuple(
    f"{scheme}://{host}:*" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1", "[::1]")
)
"""Pages that the developer serves on the own machine, from whatever port."""

MAX_BUILD_TIMEOUT_S = 24 * 3600
"""What builds for a day hangs."""
MAX_BUILD_LEASE_S = 600
"""So long the builds of a replica that died stand still."""
MAX_DRAIN_TIMEOUT_S = 3600
"""A stop that takes longer holds up every rollout."""
MAX_LOG_RETENTION_DAYS = 36_500
"""A century; DynamoDB's time to live is a date, and no calendar has those of a billion days."""

StringList = Annotated[tuple[str, ...], NoDecode]
Seconds = Annotated[float, Field(allow_inf_nan=False)]


class SettingsError(Exception):
    """A setting is wrong; the message is one line that names it."""


class Settings(BaseSettings):
    """The gateway's settings; `load_settings` reads them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    host: str = Field("0.0.0.0", description="Address to listen on; a container listens on all of them.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        None,
        description="Base of `Function.endpoint`, such as https://api.example.com. Default: the listening one.",
    )
    environment: str = Field("production", description="Name of the deployment, shown in logs.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    cors_origins: StringList = Field(
        LOOPBACK_ORIGINS,
        description="Origins whose pages may call and open sockets, such as https://console.example.com; a port "
        "`*` is any. Nobody is authenticated: such a page can do everything at a gateway that its visitor's "
        "network reaches. So `*` alone, which is any page, is for a gateway that everybody reaches anyway.",
    )

    aws_region: str = Field(
        "ap-northeast-2",
        pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Region of the table and the bucket.",
    )
    aws_endpoint_url: str | None = Field(
        None, description="Endpoint of all AWS services, for a local stand-in. Default: AWS itself."
    )
    aws_endpoint_url_dynamodb: str | None = Field(None, description="The same, for DynamoDB alone.")
    aws_endpoint_url_s3: str | None = Field(None, description="The same, for S3 alone.")
    dynamodb_table_name: str = Field(
        "sfbank-blue-FaaSData", pattern=r"^[A-Za-z0-9_.-]{3,255}$", description="The table."
    )
    s3_bucket_name: str = Field(
        "sfbank-blue-functions-code-bucket",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="The bucket.",
    )

    builder_service_url: str = Field("http://localhost:8001", description="Base URL of the Builder Service.")
    loki_service_url: str = Field("http://localhost:3100", description="Base URL of Loki.")
    prometheus_service_url: str = Field("http://localhost:9090", description="Base URL of Prometheus.")
    kubernetes_api_url: str | None = Field(
        None,
        description="Base URL of the Kubernetes API. Default: in-cluster; outside a cluster the deletion of "
        "SpinApps is skipped with a warning.",
    )
    registry_url: str | None = Field(
        None, description="Registry that builds are pushed to. Default: the Builder Service's own."
    )

    function_namespaces: StringList = Field(
        ("default",),
        description="Kubernetes namespaces functions may be deployed to; the first is the default one.",
    )
    invocation_allowed_hosts: StringList = Field(
        (),
        description="Hosts that functions may be called at: names, `*.` patterns or addresses, each with an "
        "optional `:port`. Default: `*.{namespace}.svc.cluster.local:80` for each function namespace.",
    )
    invocation_proxy_url: str | None = Field(
        None, description="HTTP proxy that invocations go through. Local mode points it at its runner."
    )

    build_poll_interval_s: Seconds = Field(
        5, gt=0, le=60, description="Seconds between two polls of one build; what the former clients used."
    )
    build_timeout_s: Seconds = Field(
        600,
        gt=0,
        le=MAX_BUILD_TIMEOUT_S,
        description="Seconds after which an unfinished build is FAILED; a crashed builder never says so.",
    )
    build_poll_concurrency: int = Field(
        50, ge=1, description="Polls under way at once, so that a wave of builds does not swamp the builder."
    )
    build_lease_s: Seconds = Field(
        15,
        ge=5,
        le=MAX_BUILD_LEASE_S,
        description="Seconds for which a replica owns a build unless it renews; 2 s later (clocks differ) another "
        "takes over.",
    )
    drain_timeout_s: Seconds = Field(
        20, ge=0, le=MAX_DRAIN_TIMEOUT_S, description="Seconds a stopping replica waits for requests under way."
    )
    log_retention_days: int = Field(
        30, ge=1, le=MAX_LOG_RETENTION_DAYS, description="Days after which execution logs expire."
    )
    max_code_bytes: int = Field(
        1024 * 1024, ge=1, description="Bytes of a function's decoded source; Spin components stay far below."
    )
    max_upload_bytes: int = Field(50 * 1024 * 1024, ge=1, description="Bytes of an uploaded source archive.")
    introspection: bool = Field(
        True,
        description="Whether the schema can be asked for, also at /schema.graphql; the explorer needs it.",
    )
    explorer: bool = Field(True, description="Whether browsers get the explorer at /graphql.")

    @field_validator("cors_origins", "function_namespaces", "invocation_allowed_hosts", mode="before")
    @classmethod
    def _split_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text.startswith("["):
            try:
                return tuple(json.loads(text))
            except ValueError as error:
                raise ValueError("is neither a JSON list nor comma-separated") from error
        return tuple(part.strip() for part in text.split(",") if part.strip())

    @field_validator(
        "builder_service_url",
        "loki_service_url",
        "prometheus_service_url",
        "kubernetes_api_url",
        "invocation_proxy_url",
    )
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        return None if value is None else parse_base_url(value)

    @field_validator("public_url", "aws_endpoint_url", "aws_endpoint_url_dynamodb", "aws_endpoint_url_s3")
    @classmethod
    def _base_url_for_all(cls, value: str | None) -> str | None:
        """Clients of the gateway see the one, and AWS's SDK signs requests: neither has use for a password."""
        return None if value is None else parse_base_url(value, with_credentials=False)

    @field_validator("registry_url")
    @classmethod
    def _known_registry(cls, value: str | None) -> str | None:
        if value is not None and (len(value) > MAX_REGISTRY_CHARACTERS or not REGISTRY.fullmatch(value)):
            raise ValueError("must be a registry and repository such as registry.example.com/functions")
        return value

    @field_validator("invocation_allowed_hosts")
    @classmethod
    def _known_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            scheme, found, _ = pattern.partition("://")
            if found:
                raise ValueError(f"{pattern!r} has a scheme: leave {scheme}:// out")
            HostPattern.parse(pattern)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        AllowedOrigins(value)
        return value

    @field_validator("function_namespaces")
    @classmethod
    def _known_namespaces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("needs at least one namespace")
        for namespace in value:
            if not DNS_LABEL.fullmatch(namespace):
                raise ValueError(f"{namespace!r} is no name of a Kubernetes namespace")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return level

    @model_validator(mode="after")
    def _default_hosts(self) -> "Settings":
        if not self.invocation_allowed_hosts:
            hosts = tuple(f"*.{namespace}.svc.cluster.local:80" for namespace in self.function_namespaces)
            object.__setattr__(self, "invocation_allowed_hosts", hosts)
        return self

    @property
    def dynamodb_endpoint_url(self) -> str | None:
        """Where DynamoDB is, when it is not AWS's own."""
        return self.aws_endpoint_url_dynamodb or self.aws_endpoint_url

    @property
    def s3_endpoint_url(self) -> str | None:
        """Where S3 is, when it is not AWS's own."""
        return self.aws_endpoint_url_s3 or self.aws_endpoint_url

    @property
    def max_body_bytes(self) -> int:
        """Bytes of a JSON body or a socket's message: room for a source in Base64 and what is around it."""
        return self.max_code_bytes * 4 // 3 + BODY_OVERHEAD_BYTES


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; a wrong value raises SettingsError with one line that names the setting."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"][:1]).upper() or "settings"
        reason = first["msg"].removeprefix("Value error, ")
        shown = "" if "_URL" in name else f" (got {first['input']!r})"  # a URL may hold credentials
        raise SettingsError(f"{name}: {reason}{shown}") from error
