"""How the systems behind the gateway are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRecord:
    """One upstream's answer to a health check."""

    name: str
    healthy: bool
    latency_ms: float | None
    detail: str | None
