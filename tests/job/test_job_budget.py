from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchpredict.job import UNLIMITED, ErrorBudget


@pytest.mark.parametrize("value", [10, 10.0, "10"])
def test_a_number_is_a_count(value: object) -> None:
    assert ErrorBudget.read(value) == ErrorBudget(Decimal(10))


def test_a_percent_sign_makes_a_percentage() -> None:
    assert ErrorBudget.read("2.5%") == ErrorBudget(Decimal("2.5"), is_percentage=True)


@pytest.mark.parametrize(
    "value",
    [-1, 2.5, True, "", "-1", "2.5", "101%", "100.1%", "1e2%", "%", " 1%", "1 %", float("nan"), [], 10**18],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match='a number of records like "10"'):
        ErrorBudget.read(value)


@pytest.mark.parametrize("text", ["0", "10", "0%", "2.50%", "100%"])
def test_a_budget_prints_as_it_is_read(text: str) -> None:
    assert str(ErrorBudget.read(text)) == text


def test_a_count_is_spent_by_one_error_more() -> None:
    budget = ErrorBudget.read("10")
    assert not budget.is_spent(10, 10)
    assert budget.is_spent(11, 10**9)


def test_a_percentage_is_spent_by_one_error_more() -> None:
    budget = ErrorBudget.read("2.5%")
    assert not budget.is_spent(25, 1000)
    assert budget.is_spent(26, 1000)


def test_a_budget_of_nothing_is_spent_by_the_first_error() -> None:
    assert not ErrorBudget.read(0).is_spent(0, 0)
    assert ErrorBudget.read(0).is_spent(1, 10**12)
    assert ErrorBudget.read("0%").is_spent(1, 10**12)


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_an_unlimited_budget_is_never_spent(errors: int, records: int) -> None:
    assert not UNLIMITED.is_spent(errors, records)


@given(st.integers(1, 10**12).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_hundred_percent_is_never_spent(counts: tuple[int, int]) -> None:
    assert not ErrorBudget.read("100%").is_spent(*counts)
