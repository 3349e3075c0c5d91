"""Errors by kind, and the verdict on the error budget."""

from __future__ import annotations

import pytest

from batchpredict.estimate.failures import HOLDS, MAY_BE_SPENT, SPENT, verdict
from batchpredict.estimate.ranges import Range
from batchpredict.job import ErrorBudget

RECORDS = Range(10_000, 9_000, 11_000)


@pytest.mark.parametrize(
    ("budget", "share", "expected"),
    [
        ("100", Range(0, 0, 0.001), HOLDS),
        ("100", Range(0.01, 0.005, 0.02), MAY_BE_SPENT),
        ("100", Range(0.05, 0.03, 0.07), SPENT),
        ("5%", Range(0.01, 0.005, 0.02), HOLDS),
        ("5%", Range(0.04, 0.03, 0.06), MAY_BE_SPENT),
        ("5%", Range(0.1, 0.06, 0.2), SPENT),
        ("0", Range(0, 0, 0.001), MAY_BE_SPENT),
        ("0", Range.exactly(0), HOLDS),
    ],
)
def test_a_budget_holds_only_if_the_whole_range_is_within_it(budget, share, expected):
    assert verdict(ErrorBudget.read(budget), share, RECORDS) == expected
