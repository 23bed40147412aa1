"""Workspaces."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRecord:
    """A workspace's METADATA row."""

    id: str
    name: str
    description: str
    created_at: datetime
    function_count: int
    deleting: bool = False
