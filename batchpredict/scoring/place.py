"""Where records stand in a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Where a record stands in its split: in which of its segments, and as which record of that segment."""

    segment: int
    record: int


@dataclass(frozen=True)
class Range:
    """Records from `first` to `last`, both included, in the order of a split."""

    first: Place
    last: Place

    def holds(self, place: Place) -> bool:
        return self.first <= place <= self.last

    def meets(self, other: Range) -> bool:
        return self.first <= other.last and other.first <= self.last
