"""How a range of numbers maps to the unit interval: ScaleType of projects-jobs.txt.

    UNIT_LINEAR_SCALE       u = (x - low) / (high - low)
    UNIT_LOG_SCALE          u = log(x / low) / log(high / low)
    UNIT_REVERSE_LOG_SCALE  u = 1 - log((low + high - x) / low) / log(high / low): the top is spread out

The formula of the reverse scale is Vizier's (google/vizier, `_src/pyvizier/shared/parameter_config.py` and its
converters). NONE is linear here: a search needs some scale, and this is the one that changes nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchpredict.job import ScaleType


@dataclass(frozen=True)
class Scale:
    """The interval [low, high] on a scale. `low` is positive where the scale is a logarithm."""

    low: float
    high: float
    kind: ScaleType = ScaleType.UNIT_LINEAR_SCALE

    @property
    def is_point(self) -> bool:
        """Whether nothing lies between the ends, as far as doubles can tell on this scale."""
        return not self._measure(self.low) < self._measure(self.high)

    def to_unit(self, x: float) -> float:
        """Where a number of the interval lies, 0 to 1; 0 in an interval that is a point."""
        if self.is_point:
            return 0.0
        start, end = self._measure(self.low), self._measure(self.high)
        return min(max((self._measure(x) - start) / (end - start), 0.0), 1.0)

    def from_unit(self, u: float) -> float:
        """The number at a place of the unit interval, whose ends are met exactly. Outside of it, the nearer end."""
        if u <= 0 or self.is_point:
            return self.low
        if u >= 1:
            return self.high
        start, end = self._measure(self.low), self._measure(self.high)
        return min(max(self._unmeasured(start * (1 - u) + end * u), self.low), self.high)

    def _measure(self, x: float) -> float:
        """Where a number lies on the scale. Halved where that is linear: the width of a range may be no double."""
        if self.kind is ScaleType.UNIT_LOG_SCALE:
            return math.log(x)
        if self.kind is ScaleType.UNIT_REVERSE_LOG_SCALE:
            return -math.log(self.low + (self.high - x))
        return x / 2

    def _unmeasured(self, place: float) -> float:
        if self.kind is ScaleType.UNIT_LOG_SCALE:
            return math.exp(place)
        if self.kind is ScaleType.UNIT_REVERSE_LOG_SCALE:
            return self.high - (math.exp(-place) - self.low)
        return place * 2
