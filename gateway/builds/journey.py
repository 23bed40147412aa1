"""A build under way in this process, with what of it is not worth a row; what is stored of it is its record."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from gateway.records.builder import AcceptedTask, DeployResult
from gateway.records.builds import BuildRecord


def new_attempt() -> str:
    """A name for one process's attempt to hand a build over."""
    return uuid.uuid4().hex


@dataclass(slots=True)
class Journey:
    """A build and how far this process has come with it."""

    build: BuildRecord
    attempt: str = field(default_factory=new_attempt)
    """By which the row tells this process from others that may try to hand the build over."""
    accepted: AcceptedTask | None = None
    """The builder's answer, which the row may not have yet."""
    refusal: str | None = None
    """Why it is to end, which the row may not have yet."""
    secret: str = field(default="", repr=False)
    """The registry's password that came with the call: in memory alone, to be cut out of the builder's words."""
    trouble: str | None = None
    """What was wrong with the last step, where it failed."""
    searched_since: datetime | None = None
    """When the task of a build that another process handed over was looked for first."""
    missing: int = 0
    """How often in a row the builder did not know the task."""
    answered: DeployResult | None = None
    """The builder's last answer to /deploy: only the name it used finds the SpinApp again."""
    answered_at: datetime | None = None
    """When it first answered."""

    @property
    def password(self) -> str | None:
        """What to cut out of the builder's words; None where that is not known here."""
        return None if self.build.has_credentials and not self.secret else self.secret
