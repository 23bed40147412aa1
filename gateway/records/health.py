"""How the systems behind the gateway are."""

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRecord:
    """One upstream's answer to a health check."""

    name: str
    healthy: bool
    latency_ms: float | None
    detail: str | None


class Verdict(enum.Enum):
    """What a finding says; UNSURE is for a person to judge, and nothing that is known to be wrong."""

    FINE = "ok"
    UNSURE = "?"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRecord:
    """Whether one thing that the gateway needs works."""

    system: str
    what: str
    verdict: Verdict
    reachable: bool | None
    allowed: bool | None
    """None, as above, where nothing was answered that tells."""
    latency_ms: float
    detail: str | None
    advice: str | None
    """What to do, where it is not fine."""
