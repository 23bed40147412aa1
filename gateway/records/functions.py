"""Functions, their configuration and their rolling 24-hour figures."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


class FunctionStatus(enum.Enum):
    """What a function is doing; clients may set ACTIVE and DISABLED only."""

    ACTIVE = "active"
    BUILDING = "building"
    DEPLOYING = "deploying"
    FAILED = "failed"
    DISABLED = "disabled"


class HttpMethod(enum.Enum):
    """An HTTP method a function may accept."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRecord:
    """A function's row, without its source: that is in S3 and read only when asked for.

    Pages read only what is asked for of the rest too. What a record was read without is not there: taking it is an
    AttributeError, never an empty value.
    """

    id: str
    workspace_id: str
    name: str
    description: str
    runtime: str
    memory: int
    """MB."""
    timeout: int
    """Seconds."""
    http_methods: tuple[HttpMethod, ...]
    environment_variables: Mapping[str, str]
    status: FunctionStatus
    invocation_url: str | None
    created_at: datetime | None
    last_modified: datetime
    last_deployed: datetime | None
    app_name: str | None = None
    """The SpinApp's name; set by the first deploy and kept for the life of the function."""
    namespace: str | None = None
    latest_build_id: str | None = None
    active_build_id: str | None = None
    """The unfinished DEPLOY or ROLLBACK, if any: it bars another."""
    current_deployment_id: str | None = None
    deployed_revision: int = 0
    revision: int = 0
    """Counts changes of source, environment and limits; above `deployed_revision` they are undeployed."""

    @classmethod
    def of_columns(cls, values: Mapping[str, Any]) -> Self:
        """Make a record that has these fields alone."""
        record = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(record, name, value)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class HourFigures:
    """What was invoked within one hour."""

    hour: int
    """Hours since the epoch, UTC."""
    invocations: int = 0
    errors: int = 0
    duration_ms: float = 0.0
    """Summed over the invocations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The rolling figures of a function or workspace: the current hour and the 23 before it.

    The three are of the same hours, oldest first, the last one's being `newest_hour`. A page has 50 of these, so
    that they are numbers side by side, and the sums are made once.
    """

    newest_hour: int = 0
    """Hours since the epoch, UTC."""
    invocations_by_hour: Sequence[int] = ()
    errors_by_hour: Sequence[int] = ()
    duration_ms_by_hour: Sequence[float] = ()
    invocations: int = field(init=False)
    """How many invocations the 24 hours saw."""
    errors: int = field(init=False)
    """How many of them were answered with anything but a 2xx."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "invocations", sum(self.invocations_by_hour))
        object.__setattr__(self, "errors", sum(self.errors_by_hour))

    @property
    def hours(self) -> tuple[HourFigures, ...]:
        """Hour by hour, oldest first."""
        oldest = self.newest_hour - len(self.invocations_by_hour) + 1
        return tuple(
            HourFigures(hour=oldest + place, invocations=invocations, errors=errors, duration_ms=duration_ms)
            for place, (invocations, errors, duration_ms) in enumerate(
                zip(self.invocations_by_hour, self.errors_by_hour, self.duration_ms_by_hour, strict=True)
            )
        )

    @property
    def error_rate(self) -> float:
        """Percent; 0 when nothing was invoked."""
        return self.errors / self.invocations * 100 if self.invocations else 0.0

    @property
    def avg_duration_ms(self) -> float:
        """The mean duration; 0 when nothing was invoked."""
        return sum(self.duration_ms_by_hour) / self.invocations if self.invocations else 0.0
