"""The environment of the local platform's processes: what they are told, and what is kept of their own."""

import os
from collections.abc import Mapping

LOOPBACK = "127.0.0.1,localhost,::1"

# moto takes any credentials; the SDKs insist on having some, and must never find a developer's own.
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

DECIDED = frozenset(
    {
        "HOST",
        "PORT",
        "ENVIRONMENT",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_S3",
        "BUILDER_SERVICE_URL",
        "LOKI_SERVICE_URL",
        "PROMETHEUS_SERVICE_URL",
        "KUBERNETES_API_URL",
        "REGISTRY_URL",
        "FUNCTION_NAMESPACES",
        "INVOCATION_ALLOWED_HOSTS",
        "INVOCATION_PROXY_URL",
        "BUILD_POLL_INTERVAL_S",
        "DRAIN_TIMEOUT_S",
    }
)
"""Settings that are the platform's to say: a developer's own would lead elsewhere, or stop it for nothing."""


def forget_decided() -> None:
    """Take out of this process's environment what the platform decides; names are read in any case."""
    for name in [name for name in os.environ if name.upper() in DECIDED]:
        del os.environ[name]


def stand_in_environment(aws_url: str, region: str) -> dict[str, str]:
    """The environment of every service: no AWS but the stand-in, no HTTP proxy for loopback."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    no_proxy = ",".join(filter(None, (kept.get("NO_PROXY", kept.get("no_proxy")), LOOPBACK)))
    return {
        **kept,
        **AWS_ENVIRONMENT,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": aws_url,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "PYTHONUNBUFFERED": "1",  # or the last words of a killed process are lost
    }


def gateway_environment(common: Mapping[str, str], **told: str) -> dict[str, str]:
    """The gateway's environment: `told` are its settings by their lower-case names."""
    return {
        **common,  # a developer's own LOG_LEVEL or CORS_ORIGINS stays
        "ENVIRONMENT": "local",
        "BUILD_POLL_INTERVAL_S": "1",
        "DRAIN_TIMEOUT_S": "1",  # Ctrl-C should be quick, and nobody else's requests are lost
        **{name.upper(): value for name, value in told.items()},
    }
