"""Axes of charts: where a value is, in pixels, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

# Beyond it differences of two values may not be numbers any more.
_LARGEST = 1e300
# A trainer that diverges gives an objective many times the others', which all would look the same beside it.
_FENCE = 10.0
_MOST_TICKS = 6


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A continuous axis.

    Attributes:
      low, high: values at its ends, low < high; both positive where it is logarithmic.
      begin, end: pixels of its ends; an axis may go either way.
    """

    low: float
    high: float
    begin: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; what is beyond an end is at the end."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[Tick]:
        values = self._powers() if self.logarithmic else []
        if len(values) < 2 and self.logarithmic:
            return [Tick(self.at(value), f"{value:.3g}") for value in (self.low, self.high)]
        return [Tick(self.at(value), f"{value:g}") for value in values] if values else self._even()

    def _powers(self) -> list[float]:
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        step = max(math.ceil((last - first + 1) / _MOST_TICKS), 1)
        return [float(f"1e{power}") for power in range(first, last + 1, step)]

    def _even(self) -> list[Tick]:
        rough = (self.high - self.low) / 4
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)
        digits = math.ceil(math.log10(max(abs(self.low), abs(self.high)) / step)) + 1
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [number * step for number in range(first, last + 1)]
        return [Tick(self.at(value), f"{value:.{min(max(digits, 2), 8)}g}") for value in values]


@dataclass(frozen=True)
class Columns:
    """An axis of categories, each in the middle of a column."""

    names: Sequence[str]
    begin: float
    end: float

    def at(self, name: str) -> float:
        return self._middle(self._places[name])

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def _middle(self, index: int) -> float:
        return self.begin + (index + 0.5) * (self.end - self.begin) / len(self.names)

    def ticks(self) -> list[Tick]:
        """The names, cut to their columns; of many every second, third …"""
        every = math.ceil(len(self.names) / _MOST_TICKS)
        room = max(int((self.end - self.begin) / 7 / max(len(self.names) / every, 1)), 3)
        return [
            Tick(self._middle(index), name if len(name) <= room else f"{name[: room - 1]}…")
            for index, name in enumerate(self.names)
            if index % every == 0
        ]


def axis(
    values: Sequence[float], begin: float, end: float, *, logarithmic: bool = False, best: float | None = None
) -> Axis:
    """An axis that has all of some values, of which there is at least one.

    Args:
      logarithmic: where all values are positive; a linear axis otherwise.
      best: if it is given, the axis has it, and ends before values that are further from the others than `_FENCE`
        times the range of their middle half.
    """
    inside = sorted(min(max(value, -_LARGEST), _LARGEST) for value in values)
    if best is not None:
        lower, upper = inside[len(inside) // 4], inside[(3 * len(inside)) // 4 - (len(inside) % 4 == 0)]
        room = _FENCE * (upper - lower) or math.inf
        inside = [value for value in inside if lower - room <= value <= upper + room or value == best]
    low, high = inside[0], inside[-1]
    logarithmic = logarithmic and low > 0 and high > low * (1 + 1e-9)
    if not logarithmic and high - low <= max(abs(low), abs(high)) * 1e-9 + 1e-300:
        room = max(abs(high) * 0.05, 1e-6)
        low, high = low - room, high + room
    return Axis(low, high, begin, end, logarithmic)
