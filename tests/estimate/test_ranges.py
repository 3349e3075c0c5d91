"""Ranges hold what they promise to hold in about 95 of 100 samples, and say so where nothing can be known."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from batchpredict.estimate.ranges import Range, ratio, share

_TRIALS = 400


def held(draw: Callable[[random.Random], Range], truth: float) -> float:
    """The share of samples whose range holds the truth."""
    found = [draw(random.Random(seed)) for seed in range(_TRIALS)]
    return sum(one.low <= truth <= one.high for one in found) / _TRIALS


def test_a_ratio_of_places_with_records_of_unlike_sizes():
    def draw(source: random.Random) -> Range:
        places = []
        for _ in range(40):
            mean = source.uniform(80, 120)
            places.append((50.0, sum(source.expovariate(1 / mean) for _ in range(50))))
        return ratio(places)

    assert held(draw, 1 / 100) > 0.9


def test_a_ratio_of_equal_places_is_known_exactly():
    found = ratio([(50, 5000)] * 4)
    assert found == Range.exactly(0.01)
    assert found.exact


def test_one_place_says_nothing_of_others():
    assert ratio([(50, 5000)]) == Range(0.01, 0.005, 0.02)


def test_errors_that_all_places_share_are_a_floor():
    assert ratio([(1, 1)] * 9, floor=0.1) == Range(1, 0.9, 1.1)


def test_a_share_of_independent_records():
    def draw(source: random.Random) -> Range:
        return share([(sum(source.random() < 0.02 for _ in range(50)), 50) for _ in range(40)])

    assert held(draw, 0.02) > 0.92


def test_a_share_of_records_that_fail_together():
    # One place in ten has nothing but bad records: 2,000 records tell no more than 40 would.
    def draw(source: random.Random) -> Range:
        return share([(50 if source.random() < 0.1 else 0, 50) for _ in range(40)])

    assert held(draw, 0.1) > 0.9
    assert draw(random.Random(1)).high > 0.15


def test_without_an_error_the_bound_is_the_rule_of_three():
    found = share([(0, 50)] * 20)
    assert (found.estimate, found.low) == (0, 0)
    assert found.high == pytest.approx(3 / 1000, rel=0.01)


def test_all_errors_and_no_records():
    found = share([(50, 50)] * 4)
    assert (found.estimate, found.high) == (1, 1)
    assert 0.95 < found.low < 1
    assert share([]) == Range(0, 0, 1)
