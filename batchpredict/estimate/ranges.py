"""Estimates with the range that a sample allows, at 95 %: ratios and shares. Pure functions.

A sample is taken at some places, and the records of a place are neighbours, which often are alike. So it is the
places that are independent and not the records, and what is known of a range is how much the places differ (a
cluster sample: Cochran, Sampling Techniques, 3rd edition, chapters 6 and 9).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t by degrees of freedom; of the normal distribution beyond these.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
_Z95 = 1.96
_LEFT = 0.05
# A range is never said to be wider than this factor: with two or three places the quantile is beyond all sense.
_WIDEST = 2.0


@dataclass(frozen=True)
class Range:
    """What is expected, and between which bounds it is with 95 % confidence."""

    estimate: float
    low: float
    high: float

    @classmethod
    def exactly(cls, value: float) -> Range:
        """What is known and not estimated."""
        return cls(value, value, value)

    @property
    def exact(self) -> bool:
        """Whether there is nothing to doubt."""
        return self.low == self.high

    def times(self, factor: float) -> Range:
        """Both bounds and the estimate, scaled."""
        return Range(self.estimate * factor, self.low * factor, self.high * factor)


def ratio(pairs: Sequence[tuple[float, float]], *, floor: float = 0.0) -> Range:
    """The ratio of two totals, from what was found of both at some places.

    Args:
      pairs: (numerator, denominator) of each place, at least one with a positive denominator.
      floor: the least relative distance of the bounds from the estimate, for errors that all places share.

    Returns:
      The ratio estimator with the bounds of its linearised variance. Where there is one place only, nothing says
      how others differ: the bounds are the widest.
    """
    above, below = sum(y for y, _ in pairs), sum(x for _, x in pairs)
    found = above / below
    count = len(pairs)
    if count < 2:
        return Range(found, found / _WIDEST, found * _WIDEST)
    squares = sum((y - found * x) ** 2 for y, x in pairs)
    error = math.sqrt(count / (count - 1) * squares) / below
    half = max(_t95(count - 1) * error, floor * found)
    return Range(found, max(found - half, found / _WIDEST), min(found + half, found * _WIDEST))


def share(places: Sequence[tuple[int, int]]) -> Range:
    """The share of the records that fail, from (failed, read) of each place; none at all if nothing was read.

    Wilson's interval for the number of independent records that tell as much as these do: the size of the sample
    over the design effect, which is how much more the places differ than they would by chance. Of no failure at all
    the upper bound is 1 - 0.05^(1/n), which is the rule of three.
    """
    failed, read = sum(bad for bad, _ in places), sum(all_ for _, all_ in places)
    if not read:
        return Range(0.0, 0.0, 1.0)
    found = failed / read
    if not failed:
        return Range(0.0, 0.0, 1.0 - _LEFT ** (1.0 / read))
    return _wilson(found, read / _design_effect(places, found, read))


def _design_effect(places: Sequence[tuple[int, int]], found: float, read: int) -> float:
    by_chance = found * (1 - found) / read
    count = len(places)
    if count < 2 or not by_chance:
        return 1.0
    squares = sum((bad - found * all_) ** 2 for bad, all_ in places)
    return min(max(count / (count - 1) * squares / read**2 / by_chance, 1.0), float(read))


def _wilson(found: float, count: float) -> Range:
    square = _Z95**2
    middle = (found + square / (2 * count)) / (1 + square / count)
    half = _Z95 / (1 + square / count) * math.sqrt(found * (1 - found) / count + square / (4 * count**2))
    return Range(found, max(middle - half, 0.0), min(middle + half, 1.0))


def _t95(freedom: int) -> float:
    return _T95[freedom - 1] if freedom <= len(_T95) else _Z95 + 2.5 / freedom
