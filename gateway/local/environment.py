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
        # A developer's own LOG_LEVEL or CORS_ORIGINS stays; where things are is ours to say.
        **{name: value for name, value in common.items() if name != "INVOCATION_ALLOWED_HOSTS"},
        "ENVIRONMENT": "local",
        "BUILD_POLL_INTERVAL_S": "1",
        "DRAIN_TIMEOUT_S": "1",  # Ctrl-C should be quick, and nobody else's requests are lost
        **{name.upper(): value for name, value in told.items()},
    }
