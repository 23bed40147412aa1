"""A page of a list, and the cursor positions in it; how a cursor looks to a client is the schema's affair."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

ROWS_OF_ANY_SIZE = 100
"""A page has so many rows if they are asked for, whatever their size: logs with the largest bodies are 32 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Up to `first` items in the list's order, each with the position a later page can start after.

    Where few rows match, or rows are large, a page may end before it is full, even empty, with `has_next`:
    `reached` is where the next one starts then.
    """

    items: tuple[T, ...]
    positions: tuple[str, ...]
    has_next: bool
    has_previous: bool = False
    reached: str | None = None

    @property
    def end(self) -> str | None:
        """The position to go on after; None on an empty page with nothing behind it."""
        return self.reached or (self.positions[-1] if self.positions else None)
