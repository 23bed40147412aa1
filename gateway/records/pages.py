"""A page of a list, and the cursor positions in it; how a cursor looks to a client is the schema's affair."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Up to `first` items in the list's order, each with the position a later page can start after."""

    items: tuple[T, ...]
    positions: tuple[str, ...]
    has_next: bool
    has_previous: bool = False
